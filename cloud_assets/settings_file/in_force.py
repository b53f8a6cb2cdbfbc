"""Which `cluster.yaml` is in force, and what stands in it, typed.

Found by `AI_HOW_CLUSTER`, else the first of `DEFAULT_FILES` that is there: in the working
directory, where the earlier tool had it, or where the demo left it; without any everything is
embedded under `.ai-how/`. Who asks for one part is not stopped by mistakes in another.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from cloud_assets.settings import Settings
from cloud_assets.settings.document import ClusterFile
from cloud_assets.settings.machines.clusters import Clusters
from cloud_assets.settings.machines.consistency import conflicts
from cloud_assets.settings_file.document import (
    Document,
    Location,
    expand,
    named,
    project_of,
    read_document,
    repeated,
    variables_of,
)
from cloud_assets.settings_file.problems import problems
from cloud_assets.settings_file.unknown_keys import Ignored, ignored, without
from cloud_assets.settings_file.variables import Expansion
from resources.errors import UsageError

CLUSTER_VARIABLE = "AI_HOW_CLUSTER"
HOME_VARIABLE = "AI_HOW_HOME"
DEMO_FILE = Path(".ai-how/cluster.yaml")
DEFAULT_FILES = (Path("cluster.yaml"), Path("config/cluster.yaml"), DEMO_FILE)

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Read(Generic[M]):
    """A part of a file; `warnings` are its keys without effect, as `file:line: key: why`."""

    typed: M
    warnings: tuple[str, ...] = ()


def load_settings(path: Path | None = None) -> Settings:
    """The settings in force. Raises SettingsError with every problem of the file at once."""
    found = path or settings_path()
    settings = read_settings(found) if found else Settings().resolved(Path.cwd())
    return _at_home(settings)


def read_settings(path: Path) -> Settings:
    """The `platform:` part of one file, relative paths resolved against its directory."""
    found = _read(read_document(path), ("platform",), Settings).typed
    return found.resolved(path.parent.absolute())


def load_cluster_file(path: Path | None = None) -> ClusterFile:
    """All of the file in force. Raises SettingsError, and UsageError where there is no file."""
    return look_at_cluster_file(path).typed


def look_at_cluster_file(path: Path | None = None) -> Read[ClusterFile]:
    """The same with what has no effect in it."""
    found = path or settings_path()
    if found is None:
        raise UsageError(
            "there is no cluster.yaml here", hint="name a file, as in `ai-how validate my.yaml`"
        )
    read = _read_all(found)
    platform = _at_home(read.typed.platform)
    return replace(read, typed=read.typed.model_copy(update={"platform": platform}))


def load_clusters() -> Clusters:
    """The clusters of the file in force; none without a file. Raises SettingsError."""
    return load_cluster_file().clusters if settings_path() else Clusters()


def read_cluster_file(path: Path) -> ClusterFile:
    """All of one file, what does not go together included in the problems.

    Paths of the platform are relative to its directory, those of images to the project.
    """
    return _read_all(path).typed


def settings_path() -> Path | None:
    """The file in force, None where the defaults are."""
    name = os.environ.get(CLUSTER_VARIABLE)
    if name:
        return Path(name)
    return next((path for path in DEFAULT_FILES if path.exists()), None)


def _at_home(settings: Settings) -> Settings:
    home = os.environ.get(HOME_VARIABLE)
    return settings.model_copy(update={"home": Path(home).absolute()}) if home else settings


def _read_all(path: Path) -> Read[ClusterFile]:
    read = _read(read_document(path), (), ClusterFile)
    typed = read.typed.model_copy(
        update={
            "platform": read.typed.platform.resolved(path.parent.absolute()),
            "clusters": read.typed.clusters.resolved(project_of(path)),
        }
    )
    return replace(read, typed=typed)


def _read(document: Document, part: Location, kind: type[M]) -> Read[M]:
    """The part as its type. Raises SettingsError with all that is wrong with it."""
    node = document.part(str(part[0])) if part else document.root
    found = list(repeated(node, part))
    found += expand(node, part, Expansion(variables_of(document.path)))
    content = document.content(node)
    idle = _without_effect(part, kind, content)
    content = without(content, idle, part)
    try:
        typed = kind.model_validate({} if content is None else content)
    except ValidationError as error:
        found += problems(document, part, error)
        raise document.error([*found, *_conflicts(document, part, content)]) from error
    found += _conflicts(document, part, content)
    if found:
        raise document.error(found)
    told = sorted((document.line(each.where), named(each.where), each.text) for each in idle)
    return Read(typed, tuple(f"{document.path}:{at}: {key}: {text}" for at, key, text in told))


def _without_effect(part: Location, kind: type[M], content: object) -> tuple[Ignored, ...]:
    try:
        kind.model_validate({} if content is None else content)
    except ValidationError as error:
        return ignored(error, part)
    return ()


def _conflicts(document: Document, part: Location, content: object) -> list[tuple[int, str]]:
    """What does not go together in the clusters, where those are what is read."""
    if part or not isinstance(content, dict):
        return []
    return [
        (document.line(where), f"{named(where)}: {each.text}")
        for each in conflicts(content.get("clusters"))
        for where in [("clusters", *each.where)]
    ]
