"""Helm charts by the `helm` command: render, compare, install or upgrade, uninstall."""

from resources.helm.client import Helm
from resources.helm.ownership import owner
from resources.helm.release import Chart, Installation, Release

__all__ = ["Chart", "Helm", "Installation", "Release", "owner"]
