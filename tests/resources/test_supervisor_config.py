"""What the configuration file holds is what supervisord itself reads out of it."""

import re
import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from resources.errors import PermanentError
from resources.supervisor.config import DaemonFiles, Program, parse, render

HOSTILE = (
    "python",
    "100%",
    "%(here)s",
    "%(ENV_HOME)s",
    "a b",
    "a #b ;c",
    "#x",
    "it's",
    'say "no"',
    "",
    "$HOME `id` \\n",
    "ünï",
    "a,b=c",
)


def _files(tmp_path: Path) -> DaemonFiles:
    return DaemonFiles(tmp_path / "s.sock", tmp_path / "s.pid", tmp_path)


def _program(tmp_path: Path, **changes: object) -> Program:
    settings: dict[str, object] = {"name": "p", "command": ("true",), "directory": tmp_path}
    return Program(**(settings | changes))  # type: ignore[arg-type]


def _read_as_supervisord(path: Path) -> tuple[list[str], dict[str, str]]:
    options = ServerOptions()
    options.realize(["-c", str(path)], doc="")
    [group] = options.process_group_configs
    [process] = group.process_configs
    return shlex.split(process.command), process.environment


@pytest.mark.parametrize("argument", HOSTILE)
def test_supervisord_reads_every_argument_as_it_was_given(tmp_path: Path, argument: str) -> None:
    program = _program(tmp_path, command=("true", argument, "end"))
    path = tmp_path / "s.conf"
    path.write_text(render([program], _files(tmp_path)), "utf-8")
    command, _ = _read_as_supervisord(path)
    assert command == ["true", argument, "end"]


@pytest.mark.parametrize("value", ["a b,c=d", '{"a": 1}', "100%", "it's", "", "/x:y", "ü"])
def test_supervisord_reads_every_variable_as_it_was_given(tmp_path: Path, value: str) -> None:
    program = _program(tmp_path, environment={"KEY": value, "Z": "1"})
    path = tmp_path / "s.conf"
    path.write_text(render([program], _files(tmp_path)), "utf-8")
    _, environment = _read_as_supervisord(path)
    assert environment == {"KEY": value, "Z": "1"}


def test_a_file_is_read_back_into_the_same_programs(tmp_path: Path) -> None:
    program = _program(
        tmp_path,
        command=HOSTILE,
        environment={"A": '{"x": "100%"}', "B": "it's"},
        autorestart=False,
        startsecs=7,
        priority=3,
        log_backups=0,
    )
    assert parse(render([program], _files(tmp_path))) == {"p": program}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a:b"},
        {"name": "../x"},
        {"command": ("a\nb",)},
        {"directory": Path("/tmp/a #b")},
        {"environment": {"A B": "x"}},
        {"environment": {"A": "both \" and '"}},
        {"environment": {"A": "line\nbreak"}},
        {"environment": {"A": "'edge"}},
        {"environment": {"A": "a ;b"}},
    ],
)
def test_what_the_syntax_cannot_hold_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(PermanentError):
        render([_program(tmp_path, **changes)], _files(tmp_path))


@pytest.mark.parametrize("text", ["[program:x]\ncommand=a", "no section", "[program:x]\n[["])
def test_a_damaged_file_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(PermanentError, match=re.escape("read its configuration")):
        parse(text)
