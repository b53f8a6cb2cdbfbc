"""`inventory`: the devices of the host, and Ansible's inventories of the machines on it."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cloud_assets.cli.commands import gpu


class Form(StrEnum):
    """How an inventory is written."""

    INI = "ini"
    YAML = "yaml"


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CONFIG] [KEY]", help="The file, and which cluster of it; or neither."),
]
Target = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it.")]
Format = Annotated[Form, typer.Option("--format", "-f", help="How to write it.")]
Key = Annotated[
    Path | None, typer.Option("--ssh-key", help="The private key; by default the machines'.")
]
User = Annotated[
    str | None, typer.Option("--ssh-user", help="Who logs in; by default `machines.ssh_user`.")
]


def groups() -> Iterable[tuple[str, typer.Typer]]:
    """Those of GPUs, and with them `inventory`."""
    found = dict(gpu.groups())
    found["inventory"].command("generate-hpc")(generate_hpc)
    found["inventory"].command("generate-k8s")(generate_k8s)
    return found.items()


def generate_hpc(
    words: Words = None,
    target: Target = None,
    form: Format = Form.INI,
    key: Key = None,
    user: User = None,
) -> None:
    """Write the running machines of the HPC cluster as Ansible's inventory for Slurm."""
    from cloud_assets.cli.commands.machines.inventory import generate

    generate("hpc", words or (), form=form.value, target=target, key=key, user=user)


def generate_k8s(
    words: Words = None,
    target: Target = None,
    form: Format = Form.INI,
    key: Key = None,
    user: User = None,
) -> None:
    """Write the running machines of the cloud cluster as Ansible's inventory for Kubespray."""
    from cloud_assets.cli.commands.machines.inventory import generate

    generate("cloud", words or (), form=form.value, target=target, key=key, user=user)
