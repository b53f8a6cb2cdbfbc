"""One YAML file by its nodes: values with the line of each, variables expanded where they stand.

What the values mean is the types' business.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloud_assets.settings_file.variables import Expansion, VariableError
from resources.errors import SettingsError

Location = tuple[str | int, ...]
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Document:
    """A file that is YAML; `root` is None where nothing is in it."""

    path: Path
    text: str
    root: yaml.Node | None

    def line(self, location: Location) -> int:
        """The line, from 1, of the deepest node on `location` that the file has."""
        if self.root is None:
            return 1
        node, line = self.root, self.root.start_mark.line + 1
        for step in location:
            if isinstance(node, yaml.MappingNode):
                name = next((name for name, _ in node.value if name.value == str(step)), None)
                line = name.start_mark.line + 1 if name is not None else line
            found = child(node, step)
            if found is None:
                return line
            node = found
            if not isinstance(node, yaml.CollectionNode) or isinstance(step, int):
                line = node.start_mark.line + 1
        return line

    def error(self, problems: Iterable[tuple[int, str]]) -> SettingsError:
        """All problems, each by its line and once, in the order of the file."""
        told = [f"{self.path}:{line}: {text}" for line, text in sorted(dict.fromkeys(problems))]
        return SettingsError(
            told, hint="`ai-how schema` prints every setting with its type and default"
        )

    def part(self, key: str) -> yaml.Node | None:
        """The node below a key of the file."""
        return child(self.root, key)

    def content(self, node: yaml.Node | None) -> Any:
        """The plain values of a node. Raises SettingsError for what YAML cannot make."""
        if node is None:
            return None
        try:
            return yaml.SafeLoader("").construct_document(node)
        except yaml.MarkedYAMLError as error:
            raise _not_yaml(self.path, error) from error
        except (ValueError, OverflowError, RecursionError) as error:
            line = _line_of_the_unmade(node)
            raise SettingsError(
                [f"{self.path}:{line}: not YAML: {error}"], hint="put the value in quotes"
            ) from error


def read_document(path: Path) -> Document:
    """The file at `path`. Raises SettingsError where it is unreadable or no YAML."""
    try:
        text = path.read_text("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"], hint="name a readable file") from error
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(path, error) from error
    except RecursionError as error:
        raise SettingsError([f"{path}:1: not YAML: nested too deeply"]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise SettingsError([f"{path}:1: not YAML: {first}"], hint="save it as UTF-8") from error
    return Document(path, text, root)


def _not_yaml(path: Path, error: yaml.MarkedYAMLError) -> SettingsError:
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    return SettingsError([f"{path}:{line}: not YAML: {error.problem}"])


def named(location: Location) -> str:
    """The setting at `location`, as it is called in a problem."""
    return ".".join(str(step) for step in location) or "the file"


def child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    """What is below `key` in a mapping, or at that place in a sequence."""
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return node.value[key] if key < len(node.value) else None
    return None


def walk(node: yaml.Node | None, where: Location = ()) -> Iterator[tuple[Location, yaml.Node]]:
    """Every node once, with its location; one that several places share by the first of them."""
    seen: set[int] = set()
    waiting = [(where, node)] if node is not None else []
    while waiting:
        location, each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield location, each
        if isinstance(each, yaml.MappingNode):
            below = [((*location, str(key.value)), value) for key, value in each.value]
        elif isinstance(each, yaml.SequenceNode):
            below = [((*location, place), value) for place, value in enumerate(each.value)]
        else:
            below = []
        waiting += reversed(below)


def repeated(node: yaml.Node | None, where: Location) -> Iterator[tuple[int, str]]:
    """Each key that stands twice in one mapping, by its line; YAML takes the last in silence."""
    for location, each in walk(node, where):
        lines: dict[str, int] = {}
        for key, _ in each.value if isinstance(each, yaml.MappingNode) else ():
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault(key.value, line) != line:
                name = named((*location, key.value))
                yield line, f"{name}: stands in line {lines[key.value]} already; remove one"


def variables_of(path: Path) -> Mapping[str, str]:
    """The environment, with the project in `TOT` and the working directory in `PWD`."""
    return {**os.environ, "TOT": str(project_of(path)), "PWD": str(Path.cwd())}


def project_of(path: Path) -> Path:
    """The nearest directory upwards with `.git`, else the directory of the file."""
    here = path.absolute().parent
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), here)


def expand(node: yaml.Node | None, where: Location, expansion: Expansion) -> list[tuple[int, str]]:
    """Put values for variables into the scalars below; the problems by their lines.

    A value without quotes is read anew: `${CORES:-4}` is a number.
    """
    problems = []
    for location, each in walk(node, where):
        if not isinstance(each, yaml.ScalarNode) or "$" not in each.value:
            continue
        try:
            each.value = expansion.of(each.value)
        except VariableError as error:
            problems.append((each.start_mark.line + 1, f"{named(location)}: {error}"))
            continue
        if each.style is None and each.tag == _TEXT:
            each.tag = _resolve(each.value)
    return problems


def _resolve(value: str) -> str:
    """The tag that YAML gives to a value without quotes."""
    loader: Any = yaml.SafeLoader("")
    return str(loader.resolve(yaml.ScalarNode, value, (True, False)))


def _line_of_the_unmade(node: yaml.Node) -> int:
    """The line of the first scalar that looks like a date or number and is none."""
    make: Callable[[yaml.Node], object] = yaml.SafeLoader("").construct_document
    for _, each in walk(node):
        if isinstance(each, yaml.ScalarNode):
            try:
                make(each)
            except (ValueError, OverflowError):
                return int(each.start_mark.line) + 1
    return int(node.start_mark.line) + 1
