"""The one tree of errors; what may be retried and what may not is decided by type, never by text.

AiHowError
├── UsageError            the request itself is wrong                      (exit 2)
│   └── SettingsError     a settings file is wrong, at file:line
└── ExternalError         a system outside refused or failed: `system could not action: reason`
    ├── TransientError    may succeed when tried again: timeouts, restarts, a full queue
    └── PermanentError    will fail again until someone acts: bad input, no permission
        ├── NeedsRepair         the system is at fault, not what was asked: a full disk, a setting
        │   └── DeadlineExceeded    its time is used up; at once again it would take as long
        └── RefusedCheckpoint   a checkpoint that may never be published
"""

from collections.abc import Sequence


class AiHowError(Exception):
    """Root of all errors a user may meet; `hint` says what would mend it."""

    hint: str | None = None


class UsageError(AiHowError):
    """The request is wrong and nothing was done."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(UsageError):
    """Every problem of one settings file, each as `file:line: what is wrong; the fix`."""

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = tuple(problems)


class ExternalError(AiHowError):
    """A named system could not do a named action for a reason."""

    def __init__(self, system: str, action: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{system} could not {action}: {reason}")
        self.system = system
        self.action = action
        self.reason = reason
        self.hint = hint


class TransientError(ExternalError):
    """Trying again later may succeed without anyone doing anything."""


class PermanentError(ExternalError):
    """Trying again is useless until someone acts on `hint`."""


class NeedsRepair(PermanentError):
    """The system itself is unfit: full, read-only, not installed, not told where something lies.

    Mended, it takes the same again.
    What was under way is held, not turned away.
    """


class DeadlineExceeded(NeedsRepair):
    """What was started is not up, though all the time given for it is over.

    Not a TransientError: tried again at once it would take as long again before anyone is told.
    """


class RefusedCheckpoint(PermanentError):
    """The checkpoint itself is unfit to be published."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__("the checkpoint check", "accept it", reason, hint=hint)
