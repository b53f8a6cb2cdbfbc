"""A libvirtd that starts anew in mid-work: what may be asked twice is; `boot` waits by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

from resources.errors import TransientError
from resources.libvirt import NotListening

T = TypeVar("T")

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.5


def outlasting(ask: Callable[[], T]) -> T:
    """What it gives, asked again for a while where libvirtd does not answer."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except (TransientError, NotListening):
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)
