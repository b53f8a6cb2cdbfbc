"""The outside world, one module a system: what it offers, never what we want of it.

Nothing here imports `cloud_assets` or `sensors`. A third-party client is imported in the module of
its system only, inside functions where it is heavy.
"""
