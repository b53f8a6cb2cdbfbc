"""A process that is killed between any two calls on the outside world."""

from typing import Any


class Killed(BaseException):
    """No program catches its own death."""


class Fuse:
    """Counts the calls on everything wrapped in it and blows before the `at`-th, from 0."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.calls: list[str] = []

    def wrap(self, system: object) -> Any:
        return _Wrapped(system, self)

    def count(self, name: str) -> None:
        if len(self.calls) == self.at:
            raise Killed(name)
        self.calls.append(name)


class _Wrapped:
    def __init__(self, system: object, fuse: Fuse) -> None:
        self._system = system
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._system, name)
        if not callable(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            self._fuse.count(name)
            return found(*args, **kwargs)

        return call
