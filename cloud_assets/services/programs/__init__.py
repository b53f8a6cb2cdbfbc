"""What runs inside the services' own images: shell, SQL and Python that ConfigMaps carry."""

from importlib.resources import files


def program(name: str) -> str:
    """The text of one of them."""
    return files(__name__).joinpath(name).read_text("utf-8")
