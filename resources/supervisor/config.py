"""supervisord's configuration file: the programs of one platform home, written and read back.

Pure text work. Talking to the daemon is `supervisor`'s business.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from resources.errors import PermanentError

PROGRAM_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# supervisor.options reads with inline comments on and expands %(here)s even in escaped text.
_COMMENT = re.compile(r"(\s)(?=[;#])")
_UNWRITABLE = re.compile(r"[\r\n\0]|\s[;#]|%\(here\)s")


@dataclass(frozen=True)
class Program:
    """One supervised program. Durations in seconds, `log_bytes` until the log is rotated.

    A program that ends before `startsecs` counts as a failed start; three of them in a row end in
    the state FATAL. Of programs with another `priority`, the lower starts first and stops last.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    autorestart: bool = True
    startsecs: int = 1
    stopwaitsecs: int = 10
    priority: int = 500
    log_bytes: int = 10_000_000
    log_backups: int = 2


@dataclass(frozen=True)
class DaemonFiles:
    """Where one daemon keeps its socket, its process id and the logs of all programs."""

    socket: Path
    pid: Path
    logs: Path

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def render(programs: Iterable[Program], files: DaemonFiles) -> str:
    """The whole configuration file. Raises PermanentError for what its syntax cannot hold."""
    sections = [_daemon(files)]
    sections += [_program(each, files) for each in sorted(programs, key=lambda item: item.name)]
    return "\n".join(sections)


def parse(text: str) -> dict[str, Program]:
    """The programs of a file that `render` wrote, by name.

    Raises PermanentError when the text is not such a file.
    """
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(text)
        names = [each for each in parser.sections() if each.startswith("program:")]
        programs = [_read(section.partition(":")[2], parser[section]) for section in names]
    except (ValueError, LookupError, Error) as error:
        raise PermanentError("supervisord", "read its configuration", str(error)) from error
    return {program.name: program for program in programs}


def _daemon(files: DaemonFiles) -> str:
    lines: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": files.socket, "chmod": "0700"},
        "supervisord": {
            "logfile": files.log("supervisord"),
            "logfile_maxbytes": 1_000_000,
            "logfile_backups": 1,
            "pidfile": files.pid,
            "childlogdir": files.logs,
            "umask": "077",
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    return "\n".join(_section(name, values) for name, values in lines.items())


def _program(program: Program, files: DaemonFiles) -> str:
    if not PROGRAM_NAME.match(program.name):
        raise PermanentError("supervisord", "take a program", f"`{program.name}` is not a name")
    return _section(
        f"program:{program.name}",
        {
            "command": _command(program),
            "directory": program.directory,
            "environment": _environment(program),
            "autorestart": str(program.autorestart).lower(),
            "startsecs": program.startsecs,
            "startretries": 3,
            "stopwaitsecs": program.stopwaitsecs,
            "stopasgroup": "true",
            "killasgroup": "true",
            "priority": program.priority,
            "redirect_stderr": "true",
            # This one value is expanded twice.
            "stdout_logfile": str(files.log(program.name)).replace("%", "%%"),
            "stdout_logfile_maxbytes": program.log_bytes,
            "stdout_logfile_backups": program.log_backups,
        },
    )


def _section(name: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(_line(key, str(value)) for key, value in values.items()), ""])


def _line(key: str, value: str) -> str:
    if _UNWRITABLE.search(value):
        raise PermanentError(
            "supervisord",
            f"be given a {key}",
            f"`{value[:80]}` holds a line break or a blank before `#` or `;`",
            hint="choose a path or a value without them",
        )
    return f"{key} = {value.replace('%', '%%')}"


def _command(program: Program) -> str:
    quoted = " ".join(shlex.quote(argument) for argument in program.command)
    # Both only occur inside single quotes, which may be closed and opened again anywhere.
    return _COMMENT.sub(r"\1''", quoted).replace("%(here)s", "%''(here)s")


def _environment(program: Program) -> str:
    return ",".join(
        f"{name}={_value(name, value)}" for name, value in sorted(program.environment.items())
    )


def _value(name: str, value: str) -> str:
    """`value` in quotes. supervisor.datatypes knows no escapes and strips quotes at both ends."""
    quote = "'" if '"' in value else '"'
    if not _VARIABLE.match(name) or quote in value or value.strip("'\"") != value:
        raise PermanentError(
            "supervisord", f"be given the variable {name}", "its quotes cannot be written"
        )
    return f"{quote}{value}{quote}"


def _read(name: str, section: Mapping[str, str]) -> Program:
    values = {key: value.replace("%%", "%") for key, value in section.items()}
    return Program(
        name=name,
        command=tuple(shlex.split(values["command"])),
        directory=Path(values["directory"]),
        environment=MappingProxyType(_read_environment(values["environment"])),
        autorestart=values["autorestart"] == "true",
        startsecs=int(values["startsecs"]),
        stopwaitsecs=int(values["stopwaitsecs"]),
        priority=int(values["priority"]),
        log_bytes=int(values["stdout_logfile_maxbytes"]),
        log_backups=int(values["stdout_logfile_backups"]),
    )


def _read_environment(text: str) -> dict[str, str]:
    pairs = re.findall(r"""([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|'([^']*)')(?:,|$)""", text)
    return {name: double or single for name, double, single in pairs}
