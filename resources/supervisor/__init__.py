"""supervisord for one platform home: what runs, and ending all of it without a trace."""

from resources.supervisor.config import Program
from resources.supervisor.supervisord import MARKER, ProgramState, Supervisor, sweep

__all__ = ["MARKER", "Program", "ProgramState", "Supervisor", "sweep"]
