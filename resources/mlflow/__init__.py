"""MLflow as the registry of checkpoints, and one quick question to it over REST."""

from resources.mlflow.registry import Registry
from resources.mlflow.version import Registration, Version

__all__ = ["Registration", "Registry", "Version"]
