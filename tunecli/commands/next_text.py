"""The text of the next study's file: the user's file with each change, its reason and the old value as a comment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tunecli.config.axes import distinct_names
from tunecli.config.expressions import Expression, Group
from tunecli.config.range_edits import RangeEditor, UneditableError, commented
from tunecli.config.reader import MapNode, Mark, Node, ScalarNode
from tunecli.config.space import Space, values_by_key
from tunecli.config.text_edits import Edit, Source
from tunecli.errors import ConfigError
from tunecli.results.next_space import Act, Change
from tunecli.trial import Trial

_NAME_LIMIT = 64
_COUNTED = re.compile(r"(.+)-([0-9]{1,4})")
_OF_RANGES = (Act.WIDEN, Act.NARROW, Act.FIX, Act.DROP)


@dataclass(frozen=True, slots=True)
class NextText:
    """The text of the next study's file.

    Attributes:
        text: of the file.
        name: of the next study.
        applied: the changes in it.
        left_out: a sentence for each change that the file cannot take.
    """

    text: str
    name: str
    applied: tuple[Change, ...]
    left_out: tuple[str, ...] = ()


def next_name(name: str) -> str:
    """``digits`` → ``digits-2`` → ``digits-3``."""
    counted = _COUNTED.fullmatch(name)
    base, n = (counted[1], int(counted[2]) + 1) if counted else (name, 2)
    return f"{base[: _NAME_LIMIT - len(str(n)) - 1]}-{n}"


def next_text(
    text: str,
    space: Space,
    name: str,
    changes: Sequence[Change],
    trials: Mapping[int, Trial],
    require: Callable[[str], None],
) -> NextText:
    """Write the changes into a study's file.

    A change that the file cannot take is left out. A wider range with ends that the key excludes gets ends just inside.

    Args:
        text: of the study's file.
        space: the study's space.
        name: the study's name.
        changes: see `tunecli.results.next_space`.
        trials: by number.
        require: raises ConfigError if the text of a file has problems.

    Raises:
        ConfigError: the file has problems without any change too.
    """
    writer = _Writer(RangeEditor(Source.of(text, space.tree.mark.file), space), name, trials)
    possible: list[Change] = []
    left_out: list[str] = []
    for change in _agreed(writer.editor, changes):
        try:
            writer.edits(change)
        except UneditableError as error:
            left_out.append(f"{_subject(change)} stays as it is: {error}")
        else:
            possible.append(change)
    whole = writer.text(possible)
    if _problem(whole, require) is None:
        return NextText(whole, next_name(name), tuple(possible), tuple(left_out))
    applied: list[Change] = []
    for change in possible:
        for version in (change, change.inner):
            if version is None:
                continue
            problem = _problem(writer.text([*applied, version]), require)
            if problem is None:
                applied.append(version)
                break
        else:
            left_out.append(f"{_subject(change)} stays as it is: {problem}")
    whole = writer.text(applied)
    require(whole)
    return NextText(whole, next_name(name), tuple(applied), tuple(left_out))


def _problem(text: str, require: Callable[[str], None]) -> str | None:
    """The first problem of a text; None: it has none."""
    try:
        require(text)
    except ConfigError as error:
        return error.problems[0].message
    return None


def _subject(change: Change) -> str:
    if change.axis:
        return f"`{change.axis}`"
    return {Act.BEGIN: "the first trial", Act.TRAIN_LONGER: "`training.epochs`"}.get(change.act, "`search`")


def _agreed(editor: RangeEditor, changes: Sequence[Change]) -> list[Change]:
    """The changes on which all parameters of one range agree: the items of a list have one range together.

    One item is enough to widen the range. All items must agree to narrow it, to fix it or to drop an option. The result
    has the widest ends, and every option that one of the items keeps.
    """
    keys = {name: key for key, name in distinct_names(editor.space).items()}
    n_of = Counter(editor.place_of.values())
    agreed: list[Change] = []
    groups: dict[Mark, list[Change]] = {}
    for change in changes:
        if change.act not in _OF_RANGES:
            agreed.append(change)
            continue
        groups.setdefault(editor.place_of[keys[change.axis]], []).append(change)
    for mark, group in groups.items():
        wide = [change for change in group if change.act is Act.WIDEN]
        acts = {change.act for change in group}
        if wide or (len(acts) == 1 and len(group) == n_of[mark]):
            same = wide or group
            kept = tuple(sorted({option for change in same for option in change.kept}))
            low, high = min(change.low for change in same), max(change.high for change in same)
            agreed.append(replace(same[0], low=low, high=high, kept=kept))
    return agreed


@dataclass(frozen=True)
class _Writer:
    """Makes the edits of a file.

    Attributes:
        editor: of the file's ranges.
        name: the study's name.
        trials: by number.
    """

    editor: RangeEditor
    name: str
    trials: Mapping[int, Trial]

    def text(self, changes: Sequence[Change]) -> str:
        """The file with the changes."""
        fixed = {self.editor.place_of[self._key(change)] for change in changes if change.act is Act.FIX}
        edits = [edit for change in changes for edit in self.edits(change, fixed)]
        return self.editor.source.edited([*edits, self._named()])

    def edits(self, change: Change, fixed: Collection[Mark] = ()) -> list[Edit]:
        """The edits of one change, beside changes that fix the ranges at the places ``fixed``.

        Raises:
            UneditableError: the file is written in a way that cannot be edited by position.
        """
        match change.act:
            case Act.BEGIN if change.trial is not None:
                return self._beginning(change, fixed)
            case Act.TRAIN_LONGER:
                return self._training_longer(change)
            case Act.MORE_TRIALS:
                return self._with_more_trials(change)
            case Act.WIDEN | Act.NARROW:
                key = self._key(change)
                return [self._told(change, key, self.editor.ends(key, change.low, change.high))]
            case Act.DROP:
                key = self._key(change)
                first, *others = self.editor.options(key, change.kept)
                dropped = self.editor.old_options(key, change.kept)
                return [commented(first, f"{change.axis}: dropped {dropped}: {change.reason}"), *others]
            case _:
                return self._fixing(change)

    def _beginning(self, change: Change, fixed: Collection[Mark]) -> list[Edit]:
        edits = list(self.editor.defaults(self.trials[change.trial or 0].parameters, fixed))
        source = self.editor.source
        trial = source.root.marks["trial"] if isinstance(source.root, MapNode) else source.root.mark
        at = source.key_offset(trial)
        return [Edit(at, at, "", (f"begins with `default:`. {change.reason}",)), *edits] if edits else []

    def _fixing(self, change: Change) -> list[Edit]:
        key = self._key(change)
        values = values_by_key(self.editor.space, self.trials[change.trial or 0].parameters)
        if key not in values:
            raise UneditableError(f"trial {change.trial} does not have this parameter")
        return [self._told(change, key, self.editor.value(key, values[key]))]

    def _training_longer(self, change: Change) -> list[Edit]:
        node = self.editor.source.at(("trial", "training", "epochs"))
        if (
            not isinstance(node, ScalarNode)
            or not isinstance(node.value, int)
            or isinstance(node.value, bool)
        ):
            raise UneditableError("the file has no number of epochs to change")
        if self._is_overridden("training", "epochs"):
            raise UneditableError("it was set on the command line")
        return [self._replaced(node, str(round(change.factor * node.value)), change.reason)]

    def _is_overridden(self, *path: str) -> bool:
        """Whether a value of the trial is not that of the file."""
        part: Expression = self.editor.space.tree
        for step in path:
            part = part.items[step] if isinstance(part, Group) and step in part.items else part
        return part.mark.file != self.editor.source.root.mark.file

    def _with_more_trials(self, change: Change) -> list[Edit]:
        source = self.editor.source
        trials = source.at(("search", "trials"))
        if (
            isinstance(trials, ScalarNode)
            and isinstance(trials.value, int)
            and trials.value < change.n_trials
        ):
            return [self._replaced(trials, str(change.n_trials), change.reason)]
        return [self._note(change.reason)]

    def _note(self, text: str) -> Edit:
        """A comment above `search`, or above `trial` if the file does not have it."""
        source = self.editor.source
        marks = source.root.marks if isinstance(source.root, MapNode) else {}
        at = source.key_offset(marks.get("search", marks["trial"]))
        return Edit(at, at, "", (text,))

    def _named(self) -> Edit:
        source, root = self.editor.source, self.editor.source.root
        node = source.at(("study",))
        assert isinstance(root, MapNode)  # the file was accepted
        if node is None:
            return source.entry(root, "study", next_name(self.name), after=next(iter(root.items)))
        start, end = source.span(node)
        return Edit(
            start, end, next_name(self.name), (f"was {self.name}: `tunecli report --next` wrote this file",)
        )

    def _replaced(self, node: Node, value: str, reason: str) -> Edit:
        source = self.editor.source
        start, end = source.span(node)
        old = " ".join(source.text[start:end].split())
        return Edit(start, end, value, (f"was {old}: {reason}",))

    def _told(self, change: Change, key: str, edit: Edit) -> Edit:
        what = {
            Act.WIDEN: "wider, was",
            Act.NARROW: "narrower, was",
            Act.FIX: "fixed, was",
        }[change.act]
        return commented(edit, f"{change.axis}: {what} {self.editor.old(key)}: {change.reason}")

    def _key(self, change: Change) -> str:
        names = distinct_names(self.editor.space)
        return next(key for key, name in names.items() if name == change.axis)
