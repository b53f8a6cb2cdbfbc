"""What a service is to the graph and to the command: it can be planned, converged, looked at.

How each is made is left to `sets` for manifests, and to whoever installs a chart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cloud_assets.services.site import Site
from resources.kubernetes import Change

State = Literal["running", "starting", "absent"]


@dataclass(frozen=True)
class Status:
    """How a service stands; `reason` where it does not run, `images` what its pods are of."""

    state: State
    reason: str = ""
    images: tuple[str, ...] = ()


class Convergence(Protocol):
    """How one service is brought to what the settings say."""

    def plan(self, site: Site) -> list[Change]:
        """What `converge` would change, as the cluster itself foresees; nothing is changed."""
        ...

    def converge(self, site: Site) -> list[Change]:
        """Make it so and wait until it is up; what that changed, unchanged objects included.

        Raises NeedsRepair with the cluster's reason when it does not come up in time.
        """
        ...

    def status(self, site: Site) -> Status:
        """How it stands, without changing anything."""
        ...


@dataclass(frozen=True)
class Service:
    """One service: its name is its asset's and its settings' section's."""

    name: str
    kind: str
    description: str
    convergence: Convergence
    #: The services that must be up before it.
    after: Sequence[str] = ()
    #: Its addresses, as pods see them.
    links: Callable[[Site], Mapping[str, str]] = field(default=lambda _: {})
