"""Overrides of a file: ``path=value`` texts, from ``--set`` and from Python, put into its nodes."""

from __future__ import annotations

from tunecli.config.paths import is_index
from tunecli.config.range_words import range_word
from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode, read
from tunecli.config.schema import TrialConfig
from tunecli.errors import ConfigError, Problem, UsageError

TOP_LEVEL = ("study", "seed", "objective", "trial", "search", "run")


def override(root: Node, assignment: str) -> Node:
    """``root`` with one ``path=value`` applied.

    The value is YAML and may be a range. A path that starts with no top-level key is taken under ``trial``. Where the
    path crosses a choice, every branch takes the value. Where it crosses a plain name (``optimizer: adam``), the name
    becomes a map; where the file has nothing, the default's name does. Under ``run``, which has no names, a word
    (``checkpoint: off``) is replaced by the map.

    Raises:
        UsageError: ``assignment`` has no ``=`` or no path.
        ConfigError: the value is not YAML, or the path leads into a value that has no keys.
    """
    path, equals, text = assignment.partition("=")
    path = path.strip()
    steps = path.split(".")
    if not equals or not all(steps):
        raise UsageError(f"--set: expected PATH=VALUE, got `{assignment}`", hint="--set optimizer.lr=1e-3")
    if steps[0] not in TOP_LEVEL:
        steps = ["trial", *steps]
    file = f"--set {path}"
    value = (
        read(text.encode("utf-8", "surrogateescape"), file)
        if text.strip()
        else ScalarNode(None, Mark(file, 1, 1))
    )
    return _with_value(root, steps, value, Mark(file, 1, 1), ())


def _with_value(node: Node, steps: list[str], value: Node, mark: Mark, done: tuple[str, ...]) -> Node:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    match node:
        case MapNode(items=items) if "choice" in items and isinstance(items["choice"], SequenceNode):
            options = items["choice"]
            changed = tuple(_with_value(option, steps, value, mark, done) for option in options.items)
            return _replaced(node, "choice", SequenceNode(changed, options.mark), node.marks["choice"])
        case MapNode() if range_word(node, ".".join(done[1:])):
            _refuse(mark, done, "is a range: set it as a whole")
        case MapNode(items=items):
            if step not in items and rest and rest[0].isascii() and rest[0].isdecimal():
                whole = ".".join((*done, step)).removeprefix("trial.")
                _refuse(mark, (*done, step), f"is not in the file: set it as a whole, --set '{whole}=[…]'")
            inner = items.get(step, _implied((*done, step), mark))
            return _replaced(
                node, step, _with_value(inner, rest, value, mark, (*done, step)), node.marks.get(step, mark)
            )
        case SequenceNode(items=parts):
            if not is_index(step, len(parts)):
                _refuse(mark, done, f"is a list of length {len(parts)}: it has no item `{step}`")
            place = int(step)
            inner = _with_value(parts[place], rest, value, mark, (*done, step))
            return SequenceNode((*parts[:place], inner, *parts[place + 1 :]), node.mark)
        case ScalarNode(value=str()) if done[:1] != ("run",):
            named = MapNode({"name": node}, {"name": node.mark}, node.mark)
            return _with_value(named, steps, value, mark, done)
        case ScalarNode(value=str() | None):
            return _with_value(MapNode({}, {}, node.mark), steps, value, mark, done)
        case _:
            _refuse(mark, done, "is a plain value and has no keys")
    raise AssertionError


def _implied(path: tuple[str, ...], mark: Mark) -> MapNode:
    """The map at a path that the file does not have: with the default's name, if the default has one."""
    field = TrialConfig.model_fields.get(path[1]) if path[0] == "trial" and len(path) == 2 else None
    name = getattr(field.default, "name", None) if field is not None else None
    if name is None:
        return MapNode({}, {}, mark)
    return MapNode({"name": ScalarNode(name, mark)}, {"name": mark}, mark)


def _replaced(node: MapNode, key: str, value: Node, mark: Mark) -> MapNode:
    return MapNode({**node.items, key: value}, {**node.marks, key: mark}, node.mark)


def _refuse(mark: Mark, done: tuple[str, ...], message: str) -> None:
    where = ".".join(done)
    raise ConfigError([Problem(f"`{where}` {message}", mark.file, mark.line, mark.column)])
