"""The quality of a served checkpoint: an evaluation suite and the gate that judges it."""
