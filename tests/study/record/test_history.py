"""The observations that a sampler gets from the record."""

import random
from dataclasses import replace

import pytest

from tunecli.objective import Objective
from tunecli.study.record.history import History
from tunecli.trial import Outcome, State, Trial


def test_trials_above_the_limit_are_pending():
    trials = {
        n: Trial(n, {"x": n}, n, State.COMPLETE, Outcome(State.COMPLETE, score=float(n))) for n in range(4)
    }
    trials[2] = replace(trials[2], state=State.FAILED, outcome=Outcome(State.FAILED, score=None))
    observations = History(trials.values(), Objective("val_accuracy", maximize=True)).up_to(2)
    assert [(observation.state, observation.loss) for observation in observations] == [
        (State.COMPLETE, 0.0),
        (State.COMPLETE, -1.0),
        (State.FAILED, None),
        (State.WAITING, None),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_observations_do_not_depend_on_earlier_calls(seed):
    generator, objective = random.Random(seed), Objective("val_accuracy", maximize=True)
    trials = {n: Trial(n, {"x": n}, n) for n in range(12)}
    history = History(list(trials.values())[:6], objective)
    for number in generator.sample(range(12), 12):
        for begun in range(6, number + 1):
            history.add(trials[begun])
        trials[number] = replace(
            trials[number], state=State.COMPLETE, outcome=Outcome(State.COMPLETE, score=float(number))
        )
        history.add(trials[number])
        added = [trials[observation.number] for observation in history.up_to(-9)]
        last_seen = generator.randrange(-2, 12)
        assert history.up_to(last_seen) == History(added, objective).up_to(last_seen)


def test_a_view_keeps_its_content_when_the_record_grows():
    objective = Objective("val_accuracy", maximize=True)
    trials = [
        Trial(n, {"x": n}, n, State.COMPLETE, Outcome(State.COMPLETE, score=float(n))) for n in range(6)
    ]
    history = History([replace(trial, state=State.WAITING, outcome=None) for trial in trials[:4]], objective)
    views, expected = [], []
    for trial in trials:
        history.add(trial)
        for last_seen in (trial.number, trial.number - 2):
            views.append(history.up_to(last_seen))
            expected.append(
                list(
                    History([*trials[: trial.number + 1], *trials[trial.number + 1 : 4]], objective).up_to(
                        last_seen
                    )
                )
            )
    assert [len(view) for view in views] == [4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 6]
    assert [[(one.number, one.loss) for one in view] for view in views] == [
        [(one.number, one.loss) for one in each] for each in expected
    ]
    assert not views[0].has_point({"x": 5}) and views[-1].has_point({"x": 5})
