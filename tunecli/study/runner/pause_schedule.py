"""The steps of a study whose trials pause: what was done, what of it a next step may see, and what that is.

Owns the one sequence of steps. Step k is made from the results of the steps up to k - lookahead; where those leave
nothing to do, from one more at a time, each waited for. So a step depends on the steps before it and on nothing of who
was faster (law 5), rules apart that say they do. Reads the record (law 1), and writes none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tunecli.config.concrete_trial import DanglingReferenceError, concrete, concrete_trials
from tunecli.config.schema.training import Training
from tunecli.config.study import StudySpec
from tunecli.registry.pruners import Pausing, pruner_info
from tunecli.results.ranking import total_excess
from tunecli.search.fidelity import Action, Curve, comparable, pause_epochs, rung_fractions
from tunecli.search.protocols import discarded_trials, next_action
from tunecli.store.database import Log
from tunecli.study.runner.retries import fail_alike
from tunecli.study.runner.stopping_rule import n_since_best
from tunecli.trial import Failure, Observation, Outcome, Parameters, State, Step, Trial


class PauseSchedule:
    """What was done, in order; ``levels`` are shares of a full training."""

    def __init__(self, spec: StudySpec, knob: Pausing, log: Log) -> None:
        """Read the record's.

        Args:
            spec: what the user asked for.
            knob: the pruner.
            log: the record.
        """
        self._spec, self.knob, self._sign = spec, knob, spec.objective.sign
        self._steps: list[Step] = []
        self._pauses: dict[int, Outcome] = log.pauses()
        self._of: dict[int, list[Step]] = {}
        self._is_exhausted = False
        self._given_up: set[int] = set()
        self._barren = (-1, -1)  # so many steps, and that sight of them, left nothing to do
        self._depends_on_arrival = pruner_info(knob.name).depends_on_arrival
        self.levels = levels_of(spec, knob)
        for step in log.steps():
            self.add(step)

    def add(self, step: Step) -> None:
        """A step was recorded."""
        self._steps.append(step)
        self._of.setdefault(step.number, []).append(step)

    def last(self, number: int) -> Step | None:
        """The last step of a trial; None where it has none."""
        own = self._of.get(number)
        return own[-1] if own else None

    def paused(self, number: int, outcome: Outcome) -> int:
        """The trial's last step ended in a pause.

        Returns:
            Which step that is.
        """
        step = self._of[number][-1].step
        self._pauses[step] = outcome
        return step

    def newly_given_up(self, trials: Mapping[int, Trial]) -> set[int]:
        """The trials that are never continued, each told once."""
        courses = self._courses(trials, len(self._steps))
        found = discarded_trials(self.knob, courses, len(self.levels)) - self._given_up
        self._given_up |= found
        return found

    def next(
        self,
        trials: Mapping[int, Trial],
        lookahead: int,
        n_trials: float,
        spent_by: Callable[[int, int], str],
        new_trial: Callable[[int, Parameters | None, Sequence[Observation]], Trial | None],
    ) -> tuple[tuple[Step, Trial] | None, str]:
        """The next step and its trial, not recorded yet; or None and why there is none: empty where a result is due.

        Args:
            trials: all on record, by number.
            lookahead: see the module.
            n_trials: how many may be begun in all.
            spent_by: which total so many epochs and failures spend; empty: none.
            new_trial: by its number and point, or else by what the sampler may see; None: no point is left.
        """
        for last_seen, courses in self._sights(lookahead, trials):
            if courses is None:
                return None, ""
            n_failed = sum(course.state is State.FAILED for course in courses)
            if reason := spent_by(sum(course.epochs for course in courses), n_failed):
                return None, reason
            if fail_alike(self._spec.settings.run.limit, _ends(courses, trials)):
                return None, "alike"
            if self._is_stagnant(courses):
                return None, "stagnation"
            may_begin = len(trials) < n_trials and not self._is_exhausted
            choice = self._choice(courses, may_begin=may_begin)
            if choice is not None and choice.number is None:
                seen = comparable(courses, len(self.levels), len(self._spec.space.parameters) + 3)
                trial = new_trial(len(trials), choice.parameters, seen)
                if trial is not None:
                    return (self._step(trial, choice.rung), trial), ""
                self._is_exhausted = True
                choice = self._choice(courses, may_begin=False)
            if choice is not None and choice.number is not None:
                trial = trials[choice.number]
                return (self._step(trial, choice.rung), trial), ""
            self._barren = (len(self._steps), last_seen)
        # A rule that makes its own points says by None that there is none left.
        return None, "exhausted" if len(trials) < n_trials else "complete"

    def _is_stagnant(self, courses: Sequence[Curve]) -> bool:
        """Whether too many trials in a row, by the step that completed them, were no better than the best before."""
        stop = self._spec.settings.search.stop
        if stop is None or stop.stagnation is None:
            return False
        complete = [course for course in courses if course.state is State.COMPLETE]
        complete.sort(key=lambda course: own[-1].step if (own := self._of.get(course.number)) else -1)
        objective, last = self._spec.objective, len(self.levels) - 1
        places = (
            (total_excess(course.violations_at(last), objective), course.loss)
            for course in complete
            if course.loss is not None
        )
        return n_since_best(places) >= stop.stagnation

    def _choice(self, courses: Sequence[Curve], *, may_begin: bool) -> Action | None:
        seed = self._spec.settings.seed
        return next_action(self.knob, courses, self.levels, self._spec.space, seed, may_begin=may_begin)

    def _step(self, trial: Trial, level: int) -> Step:
        try:
            full_epochs = _full_epochs(self.knob, concrete(self._spec.space, trial.parameters))
        except DanglingReferenceError:  # such a trial ends before it is trained
            full_epochs = 1
        until_epoch = pause_epochs(full_epochs, self.levels)[level]
        return Step(len(self._steps), trial.number, level, until_epoch)

    def _sights(
        self, lookahead: int, trials: Mapping[int, Trial]
    ) -> Iterator[tuple[int, list[Curve] | None]]:
        """The last step whose result may be seen, and the courses so: first as the next step sees them at least, then
        ever more; without what is known to leave nothing to do.

        None, and nothing after it, where a result is to be waited for.
        """
        n = len(self._steps)
        is_over = [
            step.step in self._pauses or trials[step.number].outcome is not None for step in self._steps
        ]
        if self._depends_on_arrival:
            yield n, self._courses(trials, n)
            if not all(is_over):
                yield n, None
            return
        n_barren, last_barren = self._barren
        for last_seen in range(max(n - lookahead, -1), max(n, 0)):
            if n_barren == n and last_seen <= last_barren:
                continue
            if not all(is_over[: last_seen + 1]):
                yield last_seen, None
                return
            yield last_seen, self._courses(trials, last_seen)

    def _courses(self, trials: Mapping[int, Trial], last_seen: int) -> list[Curve]:
        return [self._course(trials[number], last_seen) for number in sorted(trials)]

    def _course(self, trial: Trial, last_seen: int) -> Curve:
        own = self._of.get(trial.number, [])
        seen = {
            step.level: self._pauses[step.step]
            for step in own
            if step.step <= last_seen and step.step in self._pauses
        }
        losses = {level: self._loss(outcome) for level, outcome in seen.items()}
        excesses = {level: self._excesses(outcome) for level, outcome in seen.items()}
        epochs = max((outcome.epochs for outcome in seen.values()), default=0)
        level = own[-1].level if own else len(self.levels) - 1
        is_seen = not own or own[-1].step <= last_seen
        if is_seen and own and own[-1].step in self._pauses:
            return Curve(trial.number, trial.parameters, State.PAUSED, level, losses, None, epochs, excesses)
        if not is_seen or trial.outcome is None:
            return Curve(trial.number, trial.parameters, State.WAITING, level, losses, None, epochs, excesses)
        # One that another pruner ended has no checkpoint to go on from.
        is_complete = trial.state is State.COMPLETE
        state, loss = (State.COMPLETE, self._loss(trial.outcome)) if is_complete else (State.FAILED, None)
        if is_complete:
            excesses[len(self.levels) - 1] = self._excesses(trial.outcome)
        return Curve(
            trial.number, trial.parameters, state, level, losses, loss, trial.outcome.epochs, excesses
        )

    def _loss(self, outcome: Outcome) -> float:
        return float("inf") if outcome.score is None else self._sign * outcome.score

    def _excesses(self, outcome: Outcome) -> tuple[float, ...]:
        return self._spec.objective.violations(outcome.metrics)


def _ends(courses: Iterable[Curve], trials: Mapping[int, Trial]) -> Iterator[Failure | None]:
    """How each trial failed of which anything is known; None: it did not, or not yet."""
    for course in courses:
        outcome = trials[course.number].outcome if course.state is State.FAILED else None
        if course.state is not State.WAITING or course.losses:
            yield outcome.failure if outcome else None


def levels_of(spec: StudySpec, knob: Pausing) -> tuple[float, ...]:
    """The levels at which this study's trials pause, as shares of a full training: those of its longest trial."""
    return rung_fractions(lengths_of(spec, knob)[1], knob.min_epochs, knob.factor)


def lengths_of(spec: StudySpec, knob: Pausing) -> tuple[int, int]:
    """The epochs of a full training, of the shortest trial and of the longest."""
    return _lengths(knob, concrete_trials(spec.space))


def _lengths(knob: Pausing, configs: Iterable[Mapping[str, object]]) -> tuple[int, int]:
    lengths = [_full_epochs(knob, config) for config in configs]
    return min(lengths, default=1), max(lengths, default=1)


def pauses_of(spec: StudySpec, knob: Pausing) -> tuple[int, ...]:
    """The epochs after which this study's longest trials pause, if they are as long as the file says they are."""
    configs = list(concrete_trials(spec.space))
    _, full_epochs = _lengths(knob, configs)
    epochs = pause_epochs(full_epochs, rung_fractions(full_epochs, knob.min_epochs, knob.factor))
    last = max(map(_said_epochs, configs), default=1.0)
    return tuple(epoch for epoch in epochs if epoch is not None and epoch < last)


def _full_epochs(knob: Pausing, config: Mapping[str, object]) -> int:
    return int(_said_epochs(config)) if knob.max_epochs == "auto" else knob.max_epochs


def _said_epochs(config: Mapping[str, object]) -> float:
    """How many epochs a trial has; infinite where the file does not tell, and so has to say `max_epochs`.

    It does not of one of the user's own, nor of one that is given by its steps.
    """
    training = config.get("training")
    said = training.get("epochs") if isinstance(training, Mapping) else None
    if "python" in config or "command" in config or (isinstance(training, Mapping) and training.get("steps")):
        return math.inf
    return said if isinstance(said, int) else int(Training.model_fields["epochs"].default)
