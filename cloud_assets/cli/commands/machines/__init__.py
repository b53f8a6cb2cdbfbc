"""What is done with virtual machines: plans of all, single ones by name, whole clusters."""
