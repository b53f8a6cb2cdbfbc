"""Variables in the values of a file, as bash writes them: `$A`, `${A}`, `${A:-word}`, `${A:?why}`.

Also `${A:=word}` and `${A:+word}`, each without the colon, too, and `$$` for a dollar sign. A word
may have variables itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-=?+]")


class VariableError(ValueError):
    """A variable that has no value, or is written as none."""


@dataclass
class Expansion:
    """A text under way from its variables to their values."""

    variables: Mapping[str, str]
    #: Unset ones are empty where only the spelling is looked at.
    strict: bool = True
    used: dict[str, int] = field(default_factory=dict)
    _set: dict[str, str] = field(default_factory=dict)

    def of(self, text: str) -> str:
        """`text` with the values of its variables. Raises VariableError."""
        found, end = self._until(text, 0, closed_by="")
        assert end == len(text)
        return found

    def _until(self, text: str, at: int, *, closed_by: str) -> tuple[str, int]:
        """What stands before `closed_by`, expanded, and the place behind it."""
        pieces: list[str] = []
        while at < len(text):
            if text[at] == closed_by:
                return "".join(pieces), at + 1
            piece, at = self._variable(text, at) if text[at] == "$" else (text[at], at + 1)
            pieces.append(piece)
        if closed_by:
            raise VariableError(f"`{text}` lacks a closing `}}`")
        return "".join(pieces), at

    def _variable(self, text: str, at: int) -> tuple[str, int]:
        if text.startswith("$$", at):
            return "$", at + 2
        if text.startswith("${", at):
            return self._in_braces(text, at + 2)
        name = _NAME.match(text, at + 1)
        if name is None:
            return "$", at + 1
        return self._value(name[0]), name.end()

    def _in_braces(self, text: str, at: int) -> tuple[str, int]:
        name = _NAME.match(text, at)
        if name is None:
            raise VariableError(f"`{text}` has no name behind `${{`; write `$$` for a dollar sign")
        if text.startswith("}", name.end()):
            return self._value(name[0]), name.end() + 1
        operator = _OPERATOR.match(text, name.end())
        if operator is None:
            raise VariableError(
                f"`{text}` is no variable that is known here; write ${{NAME}}, ${{NAME:-word}} or "
                "${NAME:?why}"
            )
        return self._with_word(name[0], operator[0], text, operator.end())

    def _with_word(self, name: str, operator: str, text: str, at: int) -> tuple[str, int]:
        self.used[name] = self.used.get(name, 0) + 1
        value = self._known(name)
        has = value is not None and (value != "" or operator[0] != ":")
        # A word that is not taken is read all the same, as to where it ends, but sets nothing.
        taken = has if operator[-1] == "+" else not has
        inner = self if taken else Expansion({}, strict=False)
        word, at = inner._until(text, at, closed_by="}")
        if operator[-1] == "+":
            return (word if has else ""), at
        if has:
            return value or "", at
        if operator[-1] == "?" and self.strict:
            raise VariableError(f"${name} is not set: {word or 'it must be'}; export {name}")
        if operator[-1] == "=":
            self._set[name] = word
        return word, at

    def _value(self, name: str) -> str:
        self.used[name] = self.used.get(name, 0) + 1
        value = self._known(name)
        if value is None and self.strict:
            raise VariableError(
                f"${name} is not set; export {name}, or give a value to take then: "
                f"${{{name}:-value}}"
            )
        return value or ""

    def _known(self, name: str) -> str | None:
        return self.variables.get(name, self._set.get(name))


def plain(expansion: Expansion) -> Callable[[str], str]:
    """The expansion for texts that mostly have nothing to expand."""
    return lambda text: expansion.of(text) if "$" in text else text
