"""Slurm through its commands: nodes and jobs as frozen records, draining and giving nodes back."""

from resources.slurm.client import Progress, Slurm
from resources.slurm.failures import NotFound
from resources.slurm.records import Job, Node

__all__ = ["Job", "Node", "NotFound", "Progress", "Slurm"]
