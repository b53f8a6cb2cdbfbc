"""The speed of a served checkpoint: open-loop load by a profile, judged against its targets."""
