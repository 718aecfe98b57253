"""Each durable step around the training on all rows fails once; resume then gives the same model file, to the last bit.

The steps are those from the last trial's end on. Each time the folder must equal that of an undisturbed study: the
ranked table, the exported best, the weights of the trials and of the refit; and it must contain no other file.
"""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest

from tests.study.test_failpoints import RESUME, SEARCH, STUDY, Fleet
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.refitting import REFIT, recorded_refit

REFITTED = STUDY.replace(
    "trials: 6, lookahead: 1, pruner: {name: median, startup_trials: 2, warmup_epochs: 1}",
    "trials: 2, lookahead: 1, refit: all",
)
MODEL = "refit.safetensors"


@pytest.fixture(scope="module")
def fleet():
    memory = Path("/dev/shm")  # only a process is killed, not the machine
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Fleet(Path(folder), REFITTED)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["kill", "raise"])
def test_a_refit_that_fails_at_any_step_is_the_same_after_resume(fleet, mode):
    whole_name = f"whole-{mode}"
    ends = fleet.run({whole_name: [{"arguments": SEARCH, "failpoint": ["count", 0]}]})
    assert ends[whole_name][0]["ended"] == 0, ends[whole_name][0]["stderr"]
    whole = fleet.folder(whole_name)
    steps = (fleet.path / whole_name / "failpoints.txt").read_text().splitlines()
    last_dispatch = max(at for at, step in enumerate(steps, start=1) if step == "dispatch")
    tested = range(last_dispatch + 1, len(steps) + 1)
    assert {"rename weights", "renamed weights", "commit done"} <= {*steps[last_dispatch:]}
    assert whole.files[MODEL]
    names = {at: f"{mode}-{at}" for at in tested}
    ends = fleet.run(
        {
            name: [{"arguments": SEARCH, "failpoint": [mode, at]}, {"arguments": RESUME}]
            for at, name in names.items()
        }
    )
    differing = []
    for at, name in names.items():
        first, resumed = ends[name]
        expected = {-signal.SIGKILL} if mode == "kill" else {0, 5}
        if first["ended"] not in expected or resumed["ended"] != 0:
            differing.append((at, steps[at - 1], first, resumed))
        elif differences := whole.differences(fleet.folder(name)):
            differing.append((at, steps[at - 1], differences))
        with open_to_read(RunFolder(fleet.path / name / "run")) as study:
            fact = study.log.facts()[REFIT]
            assert recorded_refit(study, study.log.trial(fact["trial"])) is not None
    assert not differing, f"{len(differing)} of {len(names)} steps: {differing[:3]}"
    print(f"{mode}: {len(names)} steps, 0 differing folders")
