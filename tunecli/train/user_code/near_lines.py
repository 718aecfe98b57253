"""Why a command's objective was never found: the matches of each pattern, and the lines nearest to a report.

Lines are noted only until the objective is reported, so a program that reports costs nothing. Loads no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tunecli.text import without_escapes
from tunecli.train.user_code.output import short_line

_SHOWN = 3
_KEPT_SHAPES = 32
_READ_CHARACTERS = 1000
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
# The pattern begins with the digit and then looks back: Python finds a digit quickly, and looks for no letter before.
_NUMBER = re.compile(r"[0-9](?<![A-Za-z_].)")
_NOT_FINITE = re.compile(r"\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_WRITTEN_NOT_FINITE = re.compile(r"[+-]?\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_FINITE = ("0.0000", "0", *(f"0.{'0' * n}" for n in (1, 2, 3, 5, 6, 8)), "0.0000e+00")
"""Numbers in the forms in which programs write them."""
_DIGITS = re.compile(r"[0-9]+")
_PREFIX = 3  # `acc` is near to `accuracy`, `valid` to `val`


@dataclass(slots=True)
class _Match:
    n_lines: int
    last: str


@dataclass(slots=True)
class NearLines:
    """Notes the lines of a program that has not reported its objective yet.

    Attributes:
        name: the objective's metric.
        patterns: by metric, the patterns that are searched; empty: JSON lines are read.
    """

    name: str
    patterns: Mapping[str, re.Pattern[str]]
    _matches: dict[str, _Match] = field(default_factory=dict)
    _near: dict[str, tuple[int, str]] = field(
        default_factory=dict
    )  # by shape: how near, and the last such line
    _words: frozenset[str] = frozenset()
    _not_finite: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Split the metric's name into words."""
        self._words = frozenset(word.lower()[:_PREFIX] for word in _WORD.findall(self.name))

    def note(self, line: str) -> None:
        """Note a line."""
        plain = without_escapes(line[:_READ_CHARACTERS])
        for name, pattern in self.patterns.items():
            if pattern.search(plain):
                match = self._matches.setdefault(name, _Match(0, ""))
                match.n_lines += 1
                match.last = plain
        if self.name in self.patterns and _NOT_FINITE.search(plain):
            self._not_finite = self._value_not_finite(plain) or self._not_finite
        if nearness := self._nearness(plain):
            shape = _DIGITS.sub("0", plain)
            self._near[shape] = (nearness, plain)
            if len(self._near) > _KEPT_SHAPES:
                del self._near[min(self._near, key=lambda known: self._near[known][0])]

    def _nearness(self, line: str) -> int:
        """How much a line looks like a report of the metric; 0: not at all."""
        if not _NUMBER.search(line) and not _NOT_FINITE.search(line):
            return 0
        n_words = len(self._words & {word.lower()[:_PREFIX] for word in _WORD.findall(line)})
        has_sign = "=" in line or ":" in line
        if not n_words and not has_sign:
            return 0
        return 1 + has_sign + 3 * n_words + 4 * (self.name.lower() in line.lower())

    def _value_not_finite(self, line: str) -> tuple[str, str] | None:
        """The value that is not finite, and its line, if the objective's pattern finds a number in its place.

        The program printed the metric's line then, and only the pattern has no room for `nan`.
        """
        pattern = self.patterns[self.name]
        for value in _WRITTEN_NOT_FINITE.finditer(line):
            for number in _FINITE:
                match = pattern.search(line[: value.start()] + number + line[value.end() :])
                if match and match[1] and match.start(1) == value.start():
                    return value[0], line
        return None

    def divergence(self, clean: Callable[[str], str]) -> str:
        """A message about the last report of the objective that is not a finite number; empty: there was none.

        Args:
            clean: removes secrets from a text; called before a text is cut.
        """
        if self._not_finite is None:
            return ""
        value, line = self._not_finite
        return (
            f"{self.name} is {value}: `{short_line(clean(line))}` (the pattern matches finite numbers only)"
        )

    def explanation(self, clean: Callable[[str], str]) -> str:
        """A message about the matches and the nearest lines; empty if there are none.

        Args:
            clean: removes secrets from a text; called before a text is cut.
        """
        parts = [self._matched(name, clean) for name in self.patterns]
        nearest = sorted(self._near.values(), key=lambda entry: -entry[0])[:_SHOWN]
        if nearest and self.name not in self._matches:
            lines = ", ".join(f"`{short_line(clean(line))}`" for _, line in nearest)
            parts.append(f"the nearest lines: {lines}")
            if self.name in self.patterns and (word := _NOT_FINITE.search(nearest[0][1])):
                parts.append(
                    f"`{word[0]}` is not a finite number: the training diverged, and the pattern does not match it"
                )
        return "; ".join(parts)

    def _matched(self, name: str, clean: Callable[[str], str]) -> str:
        match = self._matches.get(name)
        if match is None:
            return f"the pattern of {name} matched no line"
        lines = f"{match.n_lines:,} lines, the last" if match.n_lines > 1 else "one line:"
        return f"the pattern of {name} matched {lines} `{short_line(clean(match.last))}`"
