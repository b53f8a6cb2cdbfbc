"""What Slurm's words mean: trying again, or who has to act and how. Pure."""

import re

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError

SYSTEM = "Slurm"

_SILENT = re.compile(
    r"[Uu]nable to contact slurm controller|[Cc]onnect(ion)? (failure|refused|timed out)|"
    r"[Ss]ocket timed out|Zero Bytes were transmitted|in standby mode|temporarily|"
    # What `--json` makes of a controller that does not answer.
    r"Communication connection failure|Unspecified error"
)
_CREDENTIAL = re.compile(r"[Mm]unge|[Aa]uthentication|[Ii]nvalid.*credential")
_CONFIGURATION = re.compile(r"process configuration file|cannot stat file|ClusterName needs")
_DENIED = re.compile(r"[Aa]ccess/permission denied|Invalid user id|[Pp]ermission denied")
_ABSENT = re.compile(r"Invalid (node name|job id)|[Nn]ode \S+ not found")
_WORDS = 600


class NotFound(NeedsRepair):
    """There is no such node or job."""


def failure(said: str, action: str) -> ExternalError:
    """The error of ours for what a command said on standard error, or in its answer."""
    reason = " ".join(said.split())[:_WORDS] or "it gave no reason"
    if _CONFIGURATION.search(said):
        hint = "name the cluster's slurm.conf under `platform.slurm.configuration`"
        return NeedsRepair(SYSTEM, action, reason, hint=hint)
    if _CREDENTIAL.search(said):
        hint = "start munged here, with the munge key of the cluster and a clock that agrees"
        return NeedsRepair(SYSTEM, action, reason, hint=hint)
    if _SILENT.search(said):
        return TransientError(
            SYSTEM, action, reason, hint="see that slurmctld runs: `scontrol ping`"
        )
    if _ABSENT.search(said):
        return NotFound(SYSTEM, action, reason, hint="`sinfo -N` lists nodes, `squeue` jobs")
    if _DENIED.search(said):
        hint = "give this user the right: run as SlurmUser, root or an operator"
        return NeedsRepair(SYSTEM, action, reason, hint=hint)
    return PermanentError(SYSTEM, action, reason, hint="correct what was asked for, `sinfo` helps")
