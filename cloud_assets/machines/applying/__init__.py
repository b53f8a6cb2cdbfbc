"""The parts of a convergence: making a machine, waiting until it has booted, taking back."""
