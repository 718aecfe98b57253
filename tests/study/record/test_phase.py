"""Where a study stands follows from its record and its lock, in one function for `list`, `status` and `report`."""

import pytest

from tests.study.conftest import STUDY
from tests.study.sweeps import run_whole
from tunecli.commands.list_studies import studies
from tunecli.commands.status import status
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.study.record.phase import EndReason, number_ended, phase_of
from tunecli.trial import State

FINAL = {"exhausted", "improvement", "stagnation", "target"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a study whose trials pause, and one without pauses; each has six trials."""
    folder = tmp_path_factory.mktemp("phase")
    (folder / "small.yaml").write_text(STUDY)
    for name, pruner in (("plain", "none"), ("pausing", "{name: halving, factor: 2}")):
        run_whole(folder / "small.yaml", folder / "runs" / name, f"search.pruner={pruner}")
    return folder / "runs"


def phase(folder, ending: str, n_ended: int, *, is_held: bool = False) -> str:
    with Log.open_to_read(RunFolder.open_existing(folder).database_path) as log:
        facts = {**log.facts(), "ending": ending}
        return phase_of(log, facts, {State.COMPLETE: n_ended}, is_held=is_held)


@pytest.mark.parametrize("name", ["plain", "pausing"])
@pytest.mark.parametrize("ending", ["", *EndReason])
def test_a_study_with_trials_left_is_finished_only_if_its_sweep_ended_for_good(runs, name, ending):
    assert phase(runs / name, ending, 5) == ("finished" if ending in FINAL else "interrupted")
    assert phase(runs / name, ending, 5, is_held=True) == "running"


def test_a_study_without_trials_left_is_finished_unless_a_paused_trial_may_go_on(runs):
    for ending in ("", "time"):
        assert phase(runs / "plain", ending, 6) == "finished"
        assert phase(runs / "pausing", ending, 6) == "interrupted"
    assert phase(runs / "pausing", "complete", 6) == "finished"


def test_paused_trials_have_ended_and_running_ones_have_not():
    counts = {State.COMPLETE: 2, State.PRUNED: 3, State.PAUSED: 5, State.FAILED: 7}
    assert number_ended(counts) == number_ended({**counts, State.RUNNING: 11, State.WAITING: 13}) == 17


def test_list_and_status_agree(runs):
    assert {one.name: one.state for one in studies(runs)} == {"plain": "finished", "pausing": "finished"}
    with hold(runs / "pausing"):
        assert {one.name: one.state for one in studies(runs)} == {"plain": "finished", "pausing": "running"}
        assert status(RunFolder.open_existing(runs / "pausing")).word == "running"
