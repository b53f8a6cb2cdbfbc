"""The manifests of the services, a module each, from settings alone. Pure."""
