"""Measuring a served checkpoint: quality over an evaluation suite, load over a profile."""
