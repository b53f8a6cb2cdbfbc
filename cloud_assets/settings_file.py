"""Reads `cluster.yaml` into `Settings`, and says of every mistake in which line it stands.

Found by `AI_HOW_CLUSTER`, else `cluster.yaml` in the working directory, else the one that the demo
left in `.ai-how/`; without any everything is embedded under `.ai-how/`. The other parts of the file
belong to other rooms and are let be.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cloud_assets.settings import Settings
from resources.errors import SettingsError

CLUSTER_VARIABLE = "AI_HOW_CLUSTER"
HOME_VARIABLE = "AI_HOW_HOME"
DEMO_FILE = Path(".ai-how/cluster.yaml")
DEFAULT_FILES = (Path("cluster.yaml"), DEMO_FILE)


def load_settings(path: Path | None = None) -> Settings:
    """The settings in force. Raises SettingsError with every problem of the file at once."""
    found = path or settings_path()
    settings = read_settings(found) if found else Settings().resolved(Path.cwd())
    home = os.environ.get(HOME_VARIABLE)
    return settings.model_copy(update={"home": Path(home).absolute()}) if home else settings


def read_settings(path: Path) -> Settings:
    """The settings of one file, its relative paths resolved against its directory."""
    platform, content = _platform(path)
    if platform is None or content is None:
        return Settings().resolved(path.parent.absolute())
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(
            [_problem(path, platform, found) for found in error.errors()],
            hint="`ai-how schema` prints every setting with its type and default",
        ) from error
    return settings.resolved(path.parent.absolute())


def settings_path() -> Path | None:
    """The file in force, None where the defaults are."""
    name = os.environ.get(CLUSTER_VARIABLE)
    if name:
        return Path(name)
    return next((path for path in DEFAULT_FILES if path.exists()), None)


def _platform(path: Path) -> tuple[yaml.Node | None, Any]:
    """The `platform:` part, as YAML's nodes and as plain values."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
        platform = _child(node, "platform")
        content = yaml.SafeLoader("").construct_document(platform) if platform else None
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"], hint="name a readable file") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError([f"{path}:{line}: not YAML: {error.problem}"]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise SettingsError([f"{path}: not YAML: {first}"], hint="save it as UTF-8") from error
    return platform, content


def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return node.value[key] if key < len(node.value) else None
    return None


def _line(node: yaml.Node, location: Sequence[str | int]) -> int:
    """The line (from 1) of the deepest node on `location` that the file has."""
    line = node.start_mark.line + 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            name = next((name for name, _ in node.value if name.value == str(step)), None)
            line = name.start_mark.line + 1 if name is not None else line
        child = _child(node, step)
        if child is None:
            return line
        node = child
        if not isinstance(node, yaml.MappingNode | yaml.SequenceNode) or isinstance(step, int):
            line = node.start_mark.line + 1
    return line


def _problem(path: Path, platform: yaml.Node, error: Any) -> str:
    where = ".".join(str(step) for step in ("platform", *error["loc"]))
    text = {
        "extra_forbidden": "no such setting; remove it or mend its spelling",
        "missing": "is missing; add it",
    }.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
    return f"{path}:{_line(platform, error['loc'])}: {where}: {text}"
