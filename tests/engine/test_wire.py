"""Jobs and events are equal after serialization."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import change_job, make_job
from tunecli.engine.wire import pack_event, pack_jobs, unpack_event, unpack_jobs
from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started, Stopped
from tunecli.objective import Constraint, Objective
from tunecli.trial import Checkpoint, Failure, FailureKind, Outcome, State

numbers = st.integers(0, 10**6)
scores = st.floats(allow_nan=False)
metrics = st.dictionaries(st.text(max_size=8), scores, max_size=3)
failures = st.none() | st.builds(Failure, st.sampled_from(FailureKind), st.text(), st.text())
outcomes = st.builds(
    Outcome,
    state=st.sampled_from(State),
    score=st.none() | scores,
    metrics=metrics,
    epochs=numbers,
    kept_epoch=numbers,
    seconds=scores,
    device=st.text(max_size=8),
    failure=failures,
)
events = (
    st.builds(Started, numbers, numbers, st.text(max_size=8), numbers, numbers, st.text())
    | st.builds(Checkpointed, numbers, numbers, st.builds(Checkpoint, st.text(), st.text(), numbers))
    | st.builds(Stopped, numbers, numbers)
    | st.builds(EpochEnded, numbers, numbers, numbers, numbers, metrics, scores)
    | st.builds(Ended, numbers, numbers, outcomes)
    | st.builds(Paused, numbers, numbers, outcomes)
)


@given(events)
def test_an_event_survives_the_wire(event):
    assert unpack_event(pack_event(event)) == event


@given(numbers, st.none() | scores, st.text())
def test_a_job_survives_the_wire(number, keep_below, device):
    job = make_job(
        number,
        {"model": {"hidden": [1]}},
        Objective(
            "val_loss", False, "", {}, (Objective("b", True),), (Constraint("c", 1.5, True),), also=("d",)
        ),
        7,
        8,
        device=device,
        keep_below=keep_below,
        code={"mine.py": "ab"},
        checkpoints=(Checkpoint("a.safetensors", "cd", 3),),
        stop_above=(None, 0.5),
        avoid_devices=("cuda:1",),
    )
    other = change_job(job, number=number + 1, is_fused=True)
    assert (unpacked := unpack_jobs(pack_jobs([job, other]))) == [job, other]
    assert unpacked[0].task.objective.also == ("d",)
    assert dataclasses.asdict(job)["task"]["config"] == {"model": {"hidden": [1]}}
