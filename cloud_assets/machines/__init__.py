"""The room of virtual machines: what should exist on the host's libvirt."""
