"""Reads `cluster.yaml` into types, and says of every mistake in which line it stands.

`document` knows lines, `variables` what bash would make of a value, `problems` our words for
mistakes, `unknown_keys` which keys are none, and `in_force` which file it is.
"""

from cloud_assets.settings_file.in_force import (
    CLUSTER_VARIABLE,
    DEFAULT_FILES,
    DEMO_FILE,
    HOME_VARIABLE,
    load_cluster_file,
    load_clusters,
    load_settings,
    look_at_cluster_file,
    read_cluster_file,
    read_settings,
    settings_path,
)

__all__ = [
    "CLUSTER_VARIABLE",
    "DEFAULT_FILES",
    "DEMO_FILE",
    "HOME_VARIABLE",
    "load_cluster_file",
    "load_clusters",
    "load_settings",
    "look_at_cluster_file",
    "read_cluster_file",
    "read_settings",
    "settings_path",
]
