"""What happens behind a command, for those who ask: a log to standard error, or to a file."""

import logging
import sys
from pathlib import Path

from resources.errors import UsageError

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Of these the connections' every byte is told.
_TALKATIVE = ("httpcore", "asyncio", "urllib3")


def begin(level: str, file: Path | None) -> None:
    """Log from `level` on. Raises UsageError where the file cannot be written."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(file, encoding="utf-8")
        except OSError as error:
            hint = "name another file: `--log-file`"
            raise UsageError(f"no log can be written to {file}: {error}", hint=hint) from error
    logging.basicConfig(level=level, format=_LINE, handlers=[handler], force=True)
    for each in _TALKATIVE:
        logging.getLogger(each).setLevel(logging.INFO)
    logging.getLogger("ai-how").info("%s", " ".join(sys.argv[1:]))


def ended(problem: Exception) -> None:
    """The log has the end of the command, too; where there is none nothing is said."""
    logging.getLogger("ai-how").info("ended by an error: %s", problem)
