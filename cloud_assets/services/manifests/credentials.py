"""Which Secrets the services need, what the platform draws for them itself. Pure.

Whoever wants others makes the Secret first: what is there is never overwritten.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from resources.kubernetes import Object


@dataclass(frozen=True)
class Credentials:
    """One Secret: keys with their fixed values, and keys whose values are drawn at random."""

    name: str
    namespace: str
    drawn: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({*self.drawn, *self.fixed})

    def manifest(self, values: Mapping[str, str]) -> Object:
        """The Secret with the drawn values, one of each of `drawn`."""
        everything = {**self.fixed, **values}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "data": {
                key: base64.b64encode(each.encode()).decode() for key, each in everything.items()
            },
        }
