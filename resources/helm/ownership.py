"""Who has an object that a release would make: itself, another release, or somebody. Pure."""

from resources.helm.release import Installation
from resources.kubernetes.reference import Object

_NAME = "meta.helm.sh/release-name"
_NAMESPACE = "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
#: The cluster's own parts, which write into objects of others.
_CONTROLLERS = ("kube-", "cainjector", "cert-manager-cainjector")


def owner(found: Object, wanted: Installation) -> str | None:
    """Whose the object is, as a word for people; None where it is the release's own."""
    about = found["metadata"]
    notes = about.get("annotations") or {}
    if _NAME in notes:
        named = (notes[_NAME], notes.get(_NAMESPACE))
        if named == (wanted.release, wanted.namespace):
            return None
        return f"the Helm release {named[1]}/{named[0]}"
    managed = (about.get("labels") or {}).get(_MANAGED_BY)
    if managed and managed != "Helm":
        return f"`{managed}`"
    return next((f"`{each}`" for each in _writers(found)), "somebody who left no name")


def _writers(found: Object) -> list[str]:
    """The field managers that made it, the earliest first."""
    entries = found["metadata"].get("managedFields") or ()
    own = [
        each
        for each in entries
        if not each.get("subresource")
        and not str(each.get("manager", "kube-")).startswith(_CONTROLLERS)
    ]
    return [str(each["manager"]) for each in sorted(own, key=lambda each: str(each.get("time")))]
