"""Whose a domain, network or pool is: ours has our mark and the UUID that we gave it.

Beside the mark there may be a note, which stays through starts. Nothing here changes anything;
those who do ask here first.
"""

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from resources.errors import PermanentError
from resources.libvirt import parsing
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, NotFound, NotOurs
from resources.libvirt.records import Domain, Identity

#: Of the element below `metadata` that is written and taken away while a domain is there.
NOTE_NAMESPACE = "urn:ai-how:note"
_HINT = "rename yours, or remove the other by hand (`virsh dumpxml` shows it)"

Lookup = Callable[[str], Any]


def mark(words: Mapping[str, str]) -> str:
    """The element for `metadata` that makes a domain or network ours, with what it is for.

    It comes back as `mark` of the records. Raises nothing; an empty mark is one, too.
    """
    ElementTree.register_namespace("ai-how", parsing.MARK_NAMESPACE)
    element = ElementTree.Element(f"{{{parsing.MARK_NAMESPACE}}}mark", dict(words))
    return ElementTree.tostring(element, "unicode")


def noted(domain: Domain) -> dict[str, str]:
    """What `domains.note` wrote to it; empty where nothing is noted."""
    found = domain.configured.metadata.get(NOTE_NAMESPACE)
    return {} if found is None else dict(ElementTree.fromstring(found).attrib)


def require_mark(xml: str, tag: str, action: str) -> None:
    """Raises PermanentError where a document of ours has no mark, so would not be ours again."""
    if parsing.mark(xml, tag) is None:
        raise PermanentError(
            SYSTEM, action, "its metadata has no mark", hint="put `ownership.mark(…)` into it"
        )


def find(connection: Connection, lookup: Lookup, action: str, tag: str, identity: Identity) -> Any:
    """The object of libvirt that is ours, None where there is none of that name.

    Raises NotOurs where that name is somebody else's. Pools can carry no mark: their UUID decides.
    """
    try:
        with connection.translated(action):
            found = lookup(identity.name)
            uuid, xml = found.UUIDString(), found.XMLDesc(0)
    except NotFound:
        return None
    if uuid != identity.uuid.lower():
        reason = f"there is another {tag} of that name, with the UUID {uuid}"
        raise NotOurs(SYSTEM, action, reason, hint=_HINT)
    if tag != "pool" and parsing.mark(xml, tag) is None:
        reason = f"the {tag} of that name and UUID has no mark of ours"
        raise NotOurs(SYSTEM, action, reason, hint=_HINT)
    return found


def get(connection: Connection, lookup: Lookup, action: str, tag: str, identity: Identity) -> Any:
    """The same, but raises NotFound where there is none."""
    found = find(connection, lookup, action, tag, identity)
    if found is None:
        raise NotFound(SYSTEM, action, f"there is no such {tag}", hint="define it first")
    return found
