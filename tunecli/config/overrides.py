"""``--set path=value``: a change to the tree before it is understood, so that it goes through the same door.

The value is read as YAML and may be a range. A path that begins with no top-level key is taken under
``trial``. Where the path crosses a choice, every branch takes the value; where it crosses a name alone
(``optimizer: adam``), the name becomes a map that can hold it; where the file says nothing, the default's name is
what it crosses. Under ``run``, which names nothing, a word (``checkpoint: off``) gives way to the map. Of the knobs it
knows the defaults alone.
"""

from __future__ import annotations

from tunecli.config.expressions import RANGE_KEYS
from tunecli.config.paths import is_index
from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode, read
from tunecli.config.schema import TrialConfig
from tunecli.errors import ConfigError, Problem, UsageError

TOP_LEVEL = ("study", "seed", "objective", "trial", "search", "run")


def override(root: Node, assignment: str) -> Node:
    """``root`` with one ``path=value`` applied.

    Raises:
        UsageError: ``assignment`` has no ``=`` or no path.
        ConfigError: the value is not YAML, or the path leads into something that has no keys.
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
    return _with(root, steps, value, Mark(file, 1, 1), ())


def _with(node: Node, steps: list[str], value: Node, mark: Mark, done: tuple[str, ...]) -> Node:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    match node:
        case MapNode(items=items) if "choice" in items and isinstance(items["choice"], SequenceNode):
            options = items["choice"]
            changed = tuple(_with(option, steps, value, mark, done) for option in options.items)
            return _replaced(node, "choice", SequenceNode(changed, options.mark), node.marks["choice"])
        case MapNode(items=items) if set(items) & set(RANGE_KEYS):
            _refuse(mark, done, "is a range: set it whole")
        case MapNode(items=items):
            if step not in items and rest and rest[0].isascii() and rest[0].isdecimal():
                whole = ".".join((*done, step)).removeprefix("trial.")
                _refuse(mark, (*done, step), f"is not in the file: set it whole, --set '{whole}=[…]'")
            inner = items.get(step, _implied((*done, step), mark))
            return _replaced(
                node, step, _with(inner, rest, value, mark, (*done, step)), node.marks.get(step, mark)
            )
        case SequenceNode(items=parts):
            if not is_index(step, len(parts)):
                _refuse(mark, done, f"is a list of {len(parts)}; `{step}` is none of its places")
            place = int(step)
            inner = _with(parts[place], rest, value, mark, (*done, step))
            return SequenceNode((*parts[:place], inner, *parts[place + 1 :]), node.mark)
        case ScalarNode(value=str()) if done[:1] != ("run",):
            named = MapNode({"name": node}, {"name": node.mark}, node.mark)
            return _with(named, steps, value, mark, done)
        case ScalarNode(value=str() | None):
            return _with(MapNode({}, {}, node.mark), steps, value, mark, done)
        case _:
            _refuse(mark, done, "is a plain value and has no keys")
    raise AssertionError


def _implied(path: tuple[str, ...], mark: Mark) -> MapNode:
    """What stands at a path of which the file says nothing: the default's name, where the default has one."""
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
