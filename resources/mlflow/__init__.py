"""MLflow as the registry of checkpoints, and one quick question to it over REST."""

from resources.mlflow.registry import OUTCOME_TAG, PROMOTED_TAG, Registry
from resources.mlflow.version import Registration, Version

__all__ = ["OUTCOME_TAG", "PROMOTED_TAG", "Registration", "Registry", "Version"]
