"""Dagster on one machine: its daemon, webserver, run launcher, and asking it from outside."""
