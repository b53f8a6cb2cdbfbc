"""What a PCI class code (0x030000) says of a function, whoever has read it."""


def is_display(code: str) -> bool:
    """VGA, 3D (the class of GPUs of data centres) or another display controller."""
    return code.startswith("0x03")


def is_bridge(code: str) -> bool:
    """Bridges of a group stay with the host when the rest of it goes to a guest."""
    return code.startswith("0x06")
