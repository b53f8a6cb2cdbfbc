"""The demo's own trainer: a tiny Llama learns capitals and leaves Hugging Face checkpoints.

Stands in for the HPC cluster and is never imported by the platform.
"""
