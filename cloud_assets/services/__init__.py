"""The MLOps services on a Kubernetes cluster: made from the settings, compared, kept, tried out."""
