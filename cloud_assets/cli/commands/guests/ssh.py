"""`ssh`: a login on a machine, at whatever address it has now."""

import os
import shlex
import shutil
import signal
from collections.abc import Sequence

from cloud_assets.cli import output
from cloud_assets.machines.guests import login, reach
from cloud_assets.machines.guests.login import Login
from cloud_assets.machines.host import Host
from cloud_assets.settings_file import load_cluster_file
from resources.errors import NeedsRepair


def ssh(name: str, words: Sequence[str], *, only_print: bool) -> None:
    """Become ssh, whose exit code is that of the command; or print its command line."""
    read = load_cluster_file()
    settings = read.platform
    host = Host.of(settings.machines, read.clusters)
    action = f"log in to {name}"
    with host.connected() as connection:
        domain = reach.running(connection, name, host.desired, action=action)
        address = reach.address(connection, domain)
        alias = login.alias(connection, domain)
    if not address:
        hint = f"`ai-how console {name}` shows how far it has booted"
        raise NeedsRepair("the host", action, "it has no address yet", hint=hint)
    user = Login.of(settings.machines, settings.home)
    command = login.command(user, address=address, alias=alias, words=words)
    if only_print:
        output.line(shlex.join(command))
        return
    user.known_hosts.parent.mkdir(parents=True, exist_ok=True)
    _become(command, action)


def _become(command: Sequence[str], action: str) -> None:
    program = shutil.which(command[0])
    if program is None:
        hint = "install it (Debian: openssh-client)"
        raise NeedsRepair("this machine", action, "there is no `ssh`", hint=hint)
    # Python ignores it, and what is executed would go on to do so.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(program, list(command))
