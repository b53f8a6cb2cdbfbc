"""The parts of a plan: what each kind of thing has to change; pure."""
