"""Tests on libvirt's own simulation are left out where its bindings could not be built."""

import pytest

from resources.errors import NeedsRepair
from resources.libvirt.api import bindings


def require_bindings() -> None:
    """Skips the test, with what would mend it, where there are none."""
    try:
        bindings.bindings()
    except NeedsRepair as problem:
        pytest.skip(f"{problem}; {problem.hint}")
