"""Ansible's inventories of clusters: `groups` says who is in which, `rendering` writes them."""
