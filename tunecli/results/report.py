"""A study's report as values: what its record says, what the model says, what was confirmed, and what to do next.

`commands/report` fills a `Report` once from the record; the rules of advice, the page and the text only read it. So all
of them say the same, and each can be tested with a report of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tunecli.config.study import SamplerChoice
from tunecli.effects import Effects
from tunecli.objective import Objective
from tunecli.results.baseline import Baseline
from tunecli.results.classes import ClassScores
from tunecli.results.confirmed import Confirmed
from tunecli.results.ranking import FrontSummary, Ranked
from tunecli.trial import EarlierStudy, Scalar, State, Trial


class AxisKind(StrEnum):
    """What the values of a parameter are."""

    NUMBER = "number"
    WHOLE = "whole"
    OPTIONS = "options"


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of one parameter that varies.

    Attributes:
        name: the parameter's name; where several branches have a parameter of that name, with the options that lead to
            its branch: ``optimizer.lr (adamw)`` (`tunecli.config.axes.distinct_names`). The effects have these names.
        label: the shortest end of the name that no other parameter has.
        condition: when the parameter is active, such as ``optimizer = adamw``; empty: always.
        kind: what its values are.
        low, high: the ends of the range, in the parameter's unit; 0 and 1 for options. Of a normal distribution the
            0.1 % and the 99.9 % quantile.
        is_log: whether positions follow the logarithm of the value.
        options: the labels of the options in the order of the file; empty for numbers.
        least, greatest: the ends that the key allows, in the parameter's unit; None: no end, or unknown.
        default: the value of ``default:``; None: none is given.
        usually: where good values usually lie, by the prior of the parameter; empty: it has none.
        prior: the known setting, and its usual numbers or options, for JSON; None: it has none.
    """

    name: str
    label: str
    kind: AxisKind
    low: float
    high: float
    condition: str = ""
    is_log: bool = False
    options: tuple[str, ...] = ()
    least: float | None = None
    greatest: float | None = None
    default: Scalar = None
    usually: str = ""
    prior: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """The course of one trial's training, epoch by epoch.

    Attributes:
        epochs: the epochs on record, ascending, from 1.
        scores: the objective metric at each epoch; NaN where it was not reported.
        train_losses: ``train_loss`` at each epoch; NaN where it was not reported; empty: no epoch has it.
        valid_losses: ``val_loss`` at each epoch, likewise.
        kept_epoch: the epoch whose values are the trial's result; 0: none.
    """

    epochs: tuple[int, ...]
    scores: tuple[float, ...]
    train_losses: tuple[float, ...] = ()
    valid_losses: tuple[float, ...] = ()
    kept_epoch: int = 0


class Severity(StrEnum):
    """How much a finding matters; findings are shown in this order."""

    MISLEADING = "misleading"  # what the study seems to say is wrong
    PROBLEM = "problem"  # something costs score or time
    CHANCE = "chance"  # something could gain score or time
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of advice.

    Attributes:
        rule: the name of the rule that found it, such as ``best-on-a-bound``; stable, for JSON.
        severity: how much it matters.
        claim: one sentence: what is so.
        evidence: one or two sentences: the figures that show it.
        command: a command, or lines of a file, that act on it; empty: there is nothing to do.
        parameter: the name of the axis it is about; empty: it is about the study.
        trials: the trials it is about.
        weight: orders findings of one severity, the largest first.
    """

    rule: str
    severity: Severity
    claim: str
    evidence: str
    command: str = ""
    parameter: str = ""
    trials: tuple[int, ...] = ()
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the record says of the study as a whole.

    Attributes:
        name: the study's name.
        path: the run folder, as the user would write it.
        config: the study's file, as the user wrote it; secrets stay unresolved.
        sampler, pruner: their names; the pruner may be empty.
        sampler_choice: the choice for `search.sampler: auto`; None: the file names a sampler.
        has_priors: whether the file leaves `search.priors` on; then a known setting has one, if the sampler reads it.
        seed: the study's seed.
        n_planned: the total number of trials.
        n_initial: the number of trials that the sampler proposes without a model.
        model_from: the number of the first trial after all of these.
        phase: ``running``, ``interrupted``, ``finished`` or ``empty``, as `status` says it.
        counts: the number of trials in each state that is shown.
        elapsed_s: wall time of all sessions, in seconds.
        n_train, n_valid, n_test: the sizes of the parts of the data in examples; None: unknown.
        is_folded: whether the score is the mean over folds of the validation data.
        split_by: how the validation rows are drawn, as `data.validation.by` says it; a range counts as `row`.
        n_draws: the number of times that the folds were drawn (`data.validation.repeats`).
        n_repeats: the number of trainings with different seeds whose mean is a score (`search.repeats`).
        versions: of packages, by name.
        hashes: SHA-256 of data and code files, by path.
        mixtures: notes on devices and versions that differ between trials.
        machines: the number of trials on each machine other than the one that ran the sweep, by name.
        n_carried: trials that the study took over from another one.
        is_own_code: whether the trials are the user's own function or command.
        note, tags: the note and the tags that a person wrote.
    """

    name: str
    path: str
    config: str
    sampler: str
    seed: int
    n_planned: int
    pruner: str = ""
    sampler_choice: SamplerChoice | None = None
    has_priors: bool = True
    n_initial: int = 0
    model_from: int = 0
    phase: str = "finished"
    counts: Mapping[State, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    n_train: int | None = None
    n_valid: int | None = None
    n_test: int | None = None
    is_folded: bool = False
    split_by: str = "row"
    n_draws: int = 1
    n_repeats: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    mixtures: tuple[str, ...] = ()
    machines: Mapping[str, int] = field(default_factory=dict)
    n_carried: int = 0
    is_own_code: bool = False
    note: str = ""
    tags: tuple[str, ...] = ()


def differing_files(studies: Iterable[StudyFacts]) -> list[str]:
    """The paths of the files of data and code whose content differs between studies that name them, sorted."""
    known: dict[str, set[str]] = {}
    for facts in studies:
        for path, digest in facts.hashes.items():
            known.setdefault(path, set()).add(digest)
    return sorted(path for path, digests in known.items() if len(digests) > 1)


@dataclass(frozen=True, slots=True)
class Report:
    """All that the report of one study shows.

    Attributes:
        facts: what the record says of the study as a whole.
        objective: the goals and constraints.
        ranked: every trial in the order of the table, unfinished ones last.
        axes: the parameters that vary, in the order of the file.
        positions: by trial number, the position of each axis' value (`tunecli.config.axes.axis_position`), from 0 to 1,
            of an option its index; None: the trial does not have the parameter.
        curves: by trial number; at most `MAX_CURVES`, the best trials first, then others spread over the ranks.
        front: the Pareto front and the feasible trials; None: there is one goal and no constraint.
        failures: a line for each kind of failure.
        step: the least difference between two scores, in the metric's unit: 1 / n_valid for a fraction of examples,
            else the smallest gap on record; None: fewer than two different scores.
        effects: what the model says of each parameter; of several goals, of the first.
        confirmed: the last confirmation; None: there is none.
        baseline: the scores of simple models on the same data; None: there is none.
        classes: the scores of each class or label of the best trial; None: they are not known.
        earlier: the earlier studies that inform the sampler.
        findings: the advice, the most important first, at most `MAX_FINDINGS`.
        n_silenced: the number of findings that were left out.
    """

    facts: StudyFacts
    objective: Objective
    ranked: tuple[Ranked, ...]
    axes: tuple[Axis, ...]
    positions: Mapping[int, tuple[float | None, ...]]
    effects: Effects
    curves: Mapping[int, Curve] = field(default_factory=dict)
    front: FrontSummary | None = None
    failures: tuple[str, ...] = ()
    step: float | None = None
    confirmed: Confirmed | None = None
    baseline: Baseline | None = None
    classes: ClassScores | None = None
    earlier: tuple[EarlierStudy, ...] = ()
    findings: tuple[Finding, ...] = ()
    n_silenced: int = 0

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted((row.trial for row in self.ranked), key=lambda trial: trial.number)

    @property
    def best(self) -> Trial | None:
        """The trial of rank 1; None: no trial has a rank."""
        return next((row.trial for row in self.ranked if row.rank == 1), None)

    @property
    def leading(self) -> list[Trial]:
        """The trials that have a rank, the best first."""
        return [row.trial for row in self.ranked if row.rank is not None]

    @property
    def n_missing_unsaid(self) -> int:
        """The further trials that the effects need, so that a chapter names them; 0: none, or a finding names them."""
        is_said = any(finding.rule in _NAMES_MISSING_TRIALS for finding in self.findings)
        return 0 if is_said else self.effects.n_missing


MAX_CURVES = 400
MAX_FINDINGS = 5
_NAMES_MISSING_TRIALS = ("one-trial", "too-few-trials", "importance-unknown")
"""The rules of advice that say how many trials the study lacks."""
