"""Services that come as Helm charts: what each is given, and how a release is brought to that."""
