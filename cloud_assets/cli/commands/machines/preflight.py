"""What the host lacks, told before machines are made or started; a failure stops the command."""

import subprocess
from collections.abc import Sequence

from cloud_assets.cli import output
from cloud_assets.machines.plan import Change
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.machines.preflight.reading import before_start
from cloud_assets.settings.document import ClusterFile
from resources.errors import ExternalError, NeedsRepair


def require(read: ClusterFile, pending: Sequence[Change]) -> None:
    """Raises NeedsRepair with all that stands in the way of these changes, each with its fix.

    What only may is told, and so is a host that cannot be read, which keeps nobody from anything.
    """
    found = _found(read, pending)
    for each in (each for each in found if each.level == "warn"):
        output.note(f"warn: {_line(each)}")
    ill = [each for each in found if each.level == "fail"]
    if ill:
        lines = "".join(f"\n  {_line(each)}" for each in ill)
        raise NeedsRepair(
            "the host", "start the machines", f"it lacks what they need{lines}",
            hint="`ai-how doctor` looks again; `--skip-preflight` starts them all the same",
        )  # fmt: skip


def _found(read: ClusterFile, pending: Sequence[Change]) -> list[Finding]:
    try:
        return list(before_start(read.clusters, read.platform.machines, pending))
    except (ExternalError, OSError, ValueError, subprocess.SubprocessError) as error:
        output.note(f"the host could not be looked at before: {error}")
        return []


def _line(finding: Finding) -> str:
    return f"{finding.what}: {finding.found}{f'; fix: {finding.fix}' if finding.fix else ''}"
