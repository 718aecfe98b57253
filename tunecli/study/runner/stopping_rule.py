"""Whether a sweep ends by itself, because further trials promise nothing: `search.stop`.

A pure function of the record and of a trial's number, seen with the study's lookahead (laws 1 and 5): so a resumed
sweep ends where the uninterrupted one does, and any number of workers gives the same table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tunecli.config.study import StudySpec
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import sampler_info
from tunecli.results.ranking import total_excess
from tunecli.study.record.history import History
from tunecli.trial import State, Trial

ENDED_BY_ITSELF = frozenset(("improvement", "stagnation"))
"""The reasons that `search.stop` gives."""


class StoppingRule:
    """What `search.stop` asks; what was found for a number is kept, since it is a function of it."""

    def __init__(self, spec: StudySpec, lookahead: int) -> None:
        self._spec, self._lookahead = spec, lookahead
        self._improvements: dict[int, float | None] = {}

    def reason(self, trials: Mapping[int, Trial], number: int) -> str:
        """Why trial ``number`` is not begun: `improvement` or `stagnation`; empty where it is.

        Args:
            trials: all on record by number, those up to ``number`` - lookahead with their ends.
            number: the next trial's.
        """
        stop, objective = self._spec.settings.search.stop, self._spec.objective
        if stop is None:
            return ""
        if stop.stagnation is not None:
            seen = [trials[each] for each in range(max(0, number - self._lookahead + 1))]
            places = (
                (
                    total_excess(objective.violations(outcome.metrics), objective),
                    objective.sign * outcome.score,
                )
                for trial in seen
                if trial.state is State.COMPLETE and (outcome := trial.outcome) and outcome.score is not None
            )
            if n_since_best(places) >= stop.stagnation:
                return "stagnation"
        if stop.improvement is not None and number >= stop.patience:
            last = range(number, number - stop.patience, -1)
            if all(self._is_below(trials, each, stop.improvement) for each in last):
                return "improvement"
        return ""

    def _is_below(self, trials: Mapping[int, Trial], number: int, least: float) -> bool:
        """Whether suggestion ``number``, as it was made, promised less."""
        if number not in self._improvements:
            before = {each: trials[each] for each in range(number)}
            spec = self._spec
            history = History(before.values(), spec.objective).up_to(number - self._lookahead)
            search = spec.settings.search
            expected = implementation(sampler_info(search.sampler_name).expected_improvement)
            self._improvements[number] = expected(
                spec.space, history, number, spec.settings.seed, **search.sampler_settings
            )
        found = self._improvements[number]
        return found is not None and found < least


def n_since_best(places: Iterable[tuple[float, float]]) -> int:
    """How many trials, in their order, come after the first of the best ones; of those whose numbers are finite.

    Args:
        places: of each trial the total excess of its constraints, which goes first, and its loss.
    """
    best, n = (math.inf, math.inf), 0
    for place in places:
        if all(map(math.isfinite, place)):
            best, n = (place, 0) if place < best else (best, n + 1)
    return n
