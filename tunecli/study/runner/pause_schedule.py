"""The steps of a study whose trials pause: those on record, and the decision about the next one.

A step begins or continues one trial, until its next pause or its end. Step k is chosen by the results of the steps up
to k - lookahead. If those leave nothing to do, the choice waits for the results of later steps, one at a time. So a
step depends on earlier steps, and not on the speed of any trial (speed-independence), except with pruners that use
results as they arrive. Reads the record and never writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from tunecli.config.concrete_trial import concrete, concrete_trials
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.secrets import resolved
from tunecli.config.study import StudySpec
from tunecli.errors import DataError
from tunecli.registry.pruners import Pausing, pruner_info
from tunecli.results.ranking import total_violation
from tunecli.search.fidelity import Action, Curve, comparable, min_known_of, pause_epochs, rung_fractions
from tunecli.search.protocols import discarded_trials, next_action
from tunecli.store.database import Log
from tunecli.study.record.phase import EndReason
from tunecli.study.runner.stopping_rule import (
    fail_alike,
    failure_without_values,
    gained_enough,
    may_be_one_option,
)
from tunecli.train.workload import epochs_of
from tunecli.trial import Failure, Observation, Outcome, Parameters, State, Step, Trial


class PauseSchedule:
    """The steps that were done, in order, and the decision about the next one."""

    def __init__(self, spec: StudySpec, pruner: Pausing, log: Log) -> None:
        """Read the steps and pauses on record.

        Args:
            spec: the study.
            pruner: the pruner's settings.
            log: the record.
        """
        self._spec, self._pruner, self._sign = spec, pruner, spec.objective.sign
        self._steps: list[Step] = []
        self._pauses: dict[int, Outcome] = log.pauses()  # by the index of the step that ended there
        self._steps_of: dict[int, list[Step]] = {}  # by trial
        self._is_exhausted = False  # whether the space has no further point
        self._discarded: set[int] = set()
        # The last view that left nothing to do: number of steps, last step seen.
        self._idle_view = (-1, -1)
        self._depends_on_arrival = pruner_info(pruner.name).depends_on_arrival
        self._fractions = rungs_of(spec, pruner)
        for step in log.steps():
            self.add(step)

    def add(self, step: Step) -> None:
        """Add a step that was recorded."""
        self._steps.append(step)
        self._steps_of.setdefault(step.number, []).append(step)

    def last_step(self, number: int) -> Step | None:
        """The last step of a trial; None if it has none."""
        steps = self._steps_of.get(number)
        return steps[-1] if steps else None

    def pause(self, number: int, outcome: Outcome) -> int:
        """Add the end of a trial's last step, and return that step's index."""
        step = self._steps_of[number][-1].step
        self._pauses[step] = outcome
        return step

    def newly_discarded(self, trials: Mapping[int, Trial]) -> set[int]:
        """Numbers of the trials that will never be continued, and that no earlier call returned."""
        curves = self._curves(trials, len(self._steps))
        new = discarded_trials(self._pruner, curves, len(self._fractions)) - self._discarded
        self._discarded |= new
        return new

    def next(
        self,
        trials: Mapping[int, Trial],
        lookahead: int,
        n_trials: float,
        spent_by: Callable[[int, int], EndReason | None],
        new_trial: Callable[[int, Parameters | None, Sequence[Observation]], Trial | None],
    ) -> tuple[Step, Trial] | EndReason | None:
        """The next step and its trial, which are not recorded yet.

        Args:
            trials: all trials on record, by number.
            lookahead: the study's lookahead, in steps.
            n_trials: the largest number of trials to begin.
            spent_by: (number of epochs, number of failed trials) -> the limit that is reached; None if there is none.
            new_trial: (number, point, history) -> a new trial, at the point or where the sampler suggests it; None if
                the space has no further point.

        Returns:
            The step and its trial; why no step is left; or None if a result must come first.
        """
        for last_seen, curves in self._views(lookahead, trials):
            if curves is None:
                return None
            if reason := self._end_reason(curves, trials, spent_by):
                return reason
            may_begin = len(trials) < n_trials and not self._is_exhausted
            action = self._next_action(curves, may_begin=may_begin)
            if action is not None and action.number is None:
                min_known = min_known_of(len(self._spec.space.parameters))
                history = comparable(curves, len(self._fractions), min_known)
                trial = new_trial(len(trials), action.parameters, history)
                if trial is not None:
                    return self._step(trial, action.rung), trial
                self._is_exhausted = True
                action = self._next_action(curves, may_begin=False)
            if action is not None and action.number is not None:
                trial = trials[action.number]
                return self._step(trial, action.rung), trial
            self._idle_view = (len(self._steps), last_seen)
        # With fewer trials than the total, a pruner that proposes points itself has no point left.
        return EndReason.EXHAUSTED if len(trials) < n_trials else EndReason.COMPLETE

    def _end_reason(
        self,
        curves: Sequence[Curve],
        trials: Mapping[int, Trial],
        spent_by: Callable[[int, int], EndReason | None],
    ) -> EndReason | None:
        failed = [curve.number for curve in curves if curve.state is State.FAILED]
        n_failed = sum(trials[number].state is State.FAILED for number in failed)
        if reason := spent_by(sum(curve.epochs for curve in curves), n_failed):
            return reason
        is_alike = fail_alike(self._spec.settings.run.limit, _failures(curves, trials))
        if is_alike and not may_be_one_option(self._spec.space, [trials[number] for number in failed]):
            return EndReason.ALIKE
        return self._gained_enough(curves)

    def _gained_enough(self, curves: Sequence[Curve]) -> EndReason | None:
        """Whether `search.stop` ends the sweep, by the complete trials in the order of their last steps."""
        stop = self._spec.settings.search.stop
        if stop is None:
            return None
        complete = [curve for curve in curves if curve.state is State.COMPLETE]
        complete.sort(key=lambda curve: step.step if (step := self.last_step(curve.number)) else -1)
        objective, last = self._spec.objective, len(self._fractions) - 1
        scores = [
            (total_violation(curve.violations_at(last), objective), curve.loss)
            for curve in complete
            if curve.loss is not None
        ]
        return gained_enough(stop, objective, scores)

    def _next_action(self, curves: Sequence[Curve], *, may_begin: bool) -> Action | None:
        seed = self._spec.settings.seed
        return next_action(self._pruner, curves, self._fractions, self._spec.space, seed, may_begin=may_begin)

    def _step(self, trial: Trial, rung: int) -> Step:
        try:
            config = concrete(self._spec.space, trial.parameters)
            full_epochs = _full_epochs(self._pruner, config, self._spec)
        except (DanglingReferenceError, ValidationError, DataError):  # such a trial ends before it is trained
            full_epochs = 1
        until_epoch = pause_epochs(full_epochs, self._fractions)[rung]
        return Step(len(self._steps), trial.number, rung, until_epoch)

    def _views(self, lookahead: int, trials: Mapping[int, Trial]) -> Iterator[tuple[int, list[Curve] | None]]:
        """The views of the record by which the next step may be chosen: the last step seen, and the curves up to it.

        The first view has the results of the steps that the lookahead allows, and each further view those of one more
        step. Views that are known to leave nothing to do are skipped. A view with None instead of curves is the last
        one: a result must come first.
        """
        n_steps = len(self._steps)
        has_ended = [
            step.step in self._pauses or trials[step.number].outcome is not None for step in self._steps
        ]
        if self._depends_on_arrival:
            yield n_steps, self._curves(trials, n_steps)
            if not all(has_ended):
                yield n_steps, None
            return
        n_idle, last_idle = self._idle_view
        for last_seen in range(max(n_steps - lookahead, -1), max(n_steps, 0)):
            if n_idle == n_steps and last_seen <= last_idle:
                continue
            if not all(has_ended[: last_seen + 1]):
                yield last_seen, None
                return
            yield last_seen, self._curves(trials, last_seen)

    def _curves(self, trials: Mapping[int, Trial], last_seen: int) -> list[Curve]:
        return [self._curve(trials[number], last_seen) for number in sorted(trials)]

    def _curve(self, trial: Trial, last_seen: int) -> Curve:
        """The trial's curve, from the results of the steps up to ``last_seen``."""
        steps = self._steps_of.get(trial.number, [])
        seen = {
            step.rung: self._pauses[step.step]
            for step in steps
            if step.step <= last_seen and step.step in self._pauses
        }
        curve = Curve(
            trial.number,
            trial.parameters,
            State.WAITING,
            steps[-1].rung if steps else len(self._fractions) - 1,
            {rung: self._loss(outcome) for rung, outcome in seen.items()},
            epochs=max((outcome.epochs for outcome in seen.values()), default=0),
            violations={rung: self._violations(outcome) for rung, outcome in seen.items()},
        )
        is_seen = not steps or steps[-1].step <= last_seen
        if is_seen and steps and steps[-1].step in self._pauses:
            return replace(curve, state=State.PAUSED)
        if not is_seen or trial.outcome is None:
            return curve
        if trial.state is not State.COMPLETE:
            # It failed, or another pruner ended it: it has no checkpoint to continue from.
            return replace(curve, state=State.FAILED, epochs=trial.outcome.epochs)
        at_end = {len(self._fractions) - 1: self._violations(trial.outcome)}
        return replace(
            curve,
            state=State.COMPLETE,
            loss=self._loss(trial.outcome),
            epochs=trial.outcome.epochs,
            violations={**curve.violations, **at_end},
        )

    def _loss(self, outcome: Outcome) -> float:
        return float("inf") if outcome.score is None else self._sign * outcome.score

    def _violations(self, outcome: Outcome) -> tuple[float, ...]:
        return self._spec.objective.violations(outcome.metrics)


def _failures(curves: Iterable[Curve], trials: Mapping[int, Trial]) -> Iterator[Failure | None]:
    """The failure of each trial that has a result; None: the trial has not failed so far."""
    for curve in curves:
        if curve.state is not State.WAITING or curve.losses:
            yield failure_without_values(trials[curve.number]) if curve.state is State.FAILED else None


def rungs_of(spec: StudySpec, pruner: Pausing) -> tuple[float, ...]:
    """The study's rungs, as fractions of a full training; the longest trial determines them."""
    return rung_fractions(lengths_of(spec, pruner)[1], pruner.min_epochs, pruner.factor)


def lengths_of(spec: StudySpec, pruner: Pausing) -> tuple[int, int]:
    """Epochs of a full training, of the shortest and of the longest trial."""
    return _lengths(pruner, concrete_trials(spec.space), spec)


def _lengths(pruner: Pausing, configs: Iterable[Mapping[str, object]], spec: StudySpec) -> tuple[int, int]:
    lengths = [_full_epochs(pruner, config, spec) for config in configs]
    return min(lengths, default=1), max(lengths, default=1)


def pause_epochs_of(spec: StudySpec, pruner: Pausing) -> tuple[int, ...]:
    """Epochs after which the study's longest trial pauses, without pauses at or after its configured length."""
    configs = list(concrete_trials(spec.space))
    _, full_epochs = _lengths(pruner, configs, spec)
    epochs = pause_epochs(full_epochs, rung_fractions(full_epochs, pruner.min_epochs, pruner.factor))
    last = max((_configured_epochs(config, spec) for config in configs), default=1.0)
    return tuple(epoch for epoch in epochs if epoch is not None and epoch < last)


def _full_epochs(pruner: Pausing, config: Mapping[str, object], spec: StudySpec) -> int:
    if pruner.max_epochs != "auto":
        return pruner.max_epochs
    return int(_configured_epochs(config, spec))


def _configured_epochs(config: Mapping[str, object], spec: StudySpec) -> float:
    """Number of epochs of a trial by its configuration and its data; infinite if they do not determine it.

    They do not for the user's own training and with ``training.steps``, nor for the user's own data without
    ``training.epochs``: such a study must set ``max_epochs``.
    """
    if trial_model(config) is not TrialConfig:
        return math.inf
    training = config.get("training")
    if isinstance(training, Mapping):
        if training.get("steps"):
            return math.inf
        if isinstance(epochs := training.get("epochs"), int):
            return epochs
    n_epochs = epochs_of(TrialConfig.model_validate(resolved(config)), spec.base_path, spec.settings.seed)
    return math.inf if n_epochs is None else n_epochs
