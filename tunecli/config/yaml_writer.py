"""Plain data → YAML text that every reader understands alike.

Readers follow YAML 1.1, YAML 1.2 or a mixture. A text that one of them would read as a number, a boolean or null is
quoted, and a float is written with a point (`1.0e-05`), without which YAML 1.1 would read it as a text.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from tunecli.config.reader import scalar

# Readers that follow YAML 1.1 to the letter read these as booleans; PyYAML and YAML 1.2 read them as strings.
_ONE_LETTER_BOOLEANS = {"y", "Y", "n", "N"}


def yaml_text(document: Any) -> str:
    """The YAML text of plain data: dicts, lists and scalars. Keys keep their order, and a number keeps all its bits.

    Raises:
        yaml.representer.RepresenterError: a value is no plain data.
    """
    text: str = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=sys.maxsize,
    )
    return text


class _Dumper(yaml.SafeDumper):
    """A SafeDumper without aliases. It quotes strings that YAML 1.1 would misread, and those that YAML 1.2 would."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style_of(text))


def _style_of(text: str) -> str | None:
    if any(not character.isprintable() for character in text):
        return '"'
    try:
        is_text = scalar(text) == text
    except ValueError:
        is_text = False
    return None if is_text and text not in _ONE_LETTER_BOOLEANS else "'"


def _list(dumper: _Dumper, items: list[Any] | tuple[Any, ...]) -> yaml.Node:
    is_leaf = not any(isinstance(item, list | tuple | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_leaf)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)
