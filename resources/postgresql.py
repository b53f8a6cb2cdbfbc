"""One PostgreSQL database by psycopg2: questions and small changes, each its own transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from resources.errors import NeedsRepair, PermanentError, TransientError

SYSTEM = "PostgreSQL"
_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 30_000
_LOGIN = ("authentication failed", "no pg_hba.conf entry", "does not exist")


@dataclass(frozen=True)
class Database:
    """Where a database is and who asks; the password is in no error."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)

    def query(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that the statement returns, none where it returns nothing.

        Raises TransientError where the server is away, NeedsRepair where it does not let us in,
        else PermanentError with its words.
        """
        with self._connection(statement) as connection, connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def _connection(self, statement: str) -> Iterator[Any]:
        import psycopg2

        action = f"run `{statement.split(maxsplit=1)[0]} …`"
        try:
            connection = psycopg2.connect(
                host=self.host, port=self.port, dbname=self.name, user=self.user,
                password=self.password, connect_timeout=_CONNECT_SECONDS,
                options=f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
                application_name="ai-how",
            )  # fmt: skip
        except psycopg2.OperationalError as error:
            raise _refused(error) from error
        try:
            # Commits where nothing is raised.
            with connection:
                yield connection
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise TransientError(SYSTEM, action, _line(error)) from error
        except psycopg2.Error as error:
            raise PermanentError(SYSTEM, action, _line(error)) from error
        finally:
            connection.close()


def _refused(error: Exception) -> Exception:
    """The library has one type for a server that is away and for one that says no."""
    said = _line(error)
    if any(each in said for each in _LOGIN):
        hint = "check user and password in the Secret, and that the database is there"
        return NeedsRepair(SYSTEM, "connect", said, hint=hint)
    return TransientError(SYSTEM, "connect", said)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
