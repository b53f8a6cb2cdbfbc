"""The half that knows the libvirt bindings: loading them, connections, errors, events."""
