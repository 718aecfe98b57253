"""Reads other tools' files: YAML as those tools read it, and JSON.

Most of them use PyYAML, which follows YAML 1.1: `yes` is true, `010` is eight, `1_000` is a thousand, and `1e-4` is a
text, because its mantissa has no point. What reads differently here gets a note. tunecli's limits hold: one megabyte,
10,000 values, no tags, no cycles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunecli.config.reader import Dialect, Mark, Node, read, scalar
from tunecli.importers.account import Account
from tunecli.trial import Scalar

_BOOLEANS = {"yes": True, "no": False, "on": True, "off": False}
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?")
_POINTLESS = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?[0-9]*\.[0-9]*[eE][0-9]+")
"""Floats that PyYAML reads as texts: without a point, or without a sign in the exponent."""


@dataclass(frozen=True, slots=True)
class Traits:
    """How a tool's reader differs from YAML 1.2.

    Attributes:
        has_old_words: whether `yes`, `no`, `on`, `off`, `010` and `1_000` have the meaning of YAML 1.1.
        has_text_floats: whether `1e-4` is a text.
    """

    has_old_words: bool = False
    has_text_floats: bool = False


PYYAML = Traits(has_old_words=True, has_text_floats=True)
OLD_WORDS = Traits(has_old_words=True)
YAML_1_2 = Traits()


def read_foreign(data: bytes, account: Account, traits: Traits) -> Node:
    """Read another tool's file.

    Args:
        data: the file's bytes.
        account: gets a note for each value that reads differently here; also names the file.
        traits: of the tool's reader.

    Raises:
        ConfigError: the text is not YAML or JSON.
    """

    def resolve(text: str, mark: Mark) -> Scalar:
        value = scalar(text)
        old = _old_value(text, value) if traits.has_old_words else value
        if type(old) is not type(value) or old != value:
            account.note(f"`{text}` is {_shown(old)}", "as YAML 1.1 reads it", mark)
            return old
        if traits.has_text_floats and isinstance(value, float) and _POINTLESS.fullmatch(text):
            account.note(f"`{text}` is the number {value:g}", "PyYAML reads it as a text", mark)
        return value

    if data.lstrip()[:1] in (b"{", b"["):
        data = data.replace(b"\t", b" ")  # JSON may be indented with tabs; the positions stay the same
    return read(data, account.file, dialect=Dialect(resolve, has_merge_keys=True, has_plain_keys=True))


def _old_value(text: str, value: Scalar) -> Scalar:
    if (word := text.lower()) in _BOOLEANS and text in (word, word.capitalize(), word.upper()):
        return _BOOLEANS[word]
    if len(text) > 1 and _OCTAL.fullmatch(text):
        return int(text.replace("_", ""), 8)
    if "_" in text and len(text) <= 40 and _GROUPED.fullmatch(text):
        plain = text.replace("_", "")
        return float(plain) if "." in plain else int(plain)
    return value


def _shown(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
