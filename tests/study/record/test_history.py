"""What a sampler sees of the record."""

import random
from dataclasses import replace

import pytest

from tunecli.objective import Objective
from tunecli.study.record.history import History
from tunecli.trial import Outcome, State, Trial


def test_a_sampler_sees_only_what_the_lookahead_lets_it_see():
    trials = {
        n: Trial(n, {"x": n}, n, State.COMPLETE, Outcome(State.COMPLETE, score=float(n))) for n in range(4)
    }
    trials[2] = replace(trials[2], state=State.FAILED, outcome=Outcome(State.FAILED, score=None))
    seen = History(trials.values(), Objective("val_accuracy", maximize=True)).up_to(2)
    assert [(one.state, one.loss) for one in seen] == [
        (State.COMPLETE, 0.0),
        (State.COMPLETE, -1.0),
        (State.FAILED, None),
        (State.WAITING, None),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_a_sampler_sees_does_not_depend_on_who_looked_before(seed):
    generator, objective = random.Random(seed), Objective("val_accuracy", maximize=True)
    trials = {n: Trial(n, {"x": n}, n) for n in range(12)}
    seen = History(list(trials.values())[:6], objective)
    for number in generator.sample(range(12), 12):
        for begun in range(6, number + 1):
            seen.add(trials[begun])
        trials[number] = replace(
            trials[number], state=State.COMPLETE, outcome=Outcome(State.COMPLETE, score=float(number))
        )
        seen.add(trials[number])
        known = [trials[one.number] for one in seen.up_to(-9)]
        last_seen = generator.randrange(-2, 12)
        assert seen.up_to(last_seen) == History(known, objective).up_to(last_seen)
