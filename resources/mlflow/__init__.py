"""MLflow as the registry of checkpoints, and one quick question to it over REST."""

from resources.mlflow.registry import Registration, Registry, Version

__all__ = ["Registration", "Registry", "Version"]
