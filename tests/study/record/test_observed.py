"""What a sampler sees of the record."""

from dataclasses import replace

from tunecli.study.record.observed import Seen
from tunecli.trial import Objective, Outcome, State, Trial


def test_a_sampler_sees_only_what_the_lookahead_lets_it_see():
    trials = {
        n: Trial(n, {"x": n}, n, State.COMPLETE, Outcome(State.COMPLETE, score=float(n))) for n in range(4)
    }
    trials[2] = replace(trials[2], state=State.FAILED, outcome=Outcome(State.FAILED, score=None))
    seen = Seen(trials.values(), Objective("val_accuracy", maximize=True)).up_to(2)
    assert [(one.state, one.loss) for one in seen] == [
        (State.COMPLETE, 0.0),
        (State.COMPLETE, -1.0),
        (State.FAILED, None),
        (State.WAITING, None),
    ]
