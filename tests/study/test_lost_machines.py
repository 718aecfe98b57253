"""A sweep whose machines wait or are lost: it says so, ends in order, and resumes to the uninterrupted table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable
from tests.support.forked import run_verb
from tests.support.plug_ins import environment_with, install
from tunecli.commands.check import load_checked
from tunecli.errors import ClusterGone
from tunecli.messages import Event, Job
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, reopen
from tunecli.study.sweep import sweep

OVERRIDES = ("run.workers=2", "run.engine=local", "search.lookahead=2")


class LosingEngine(FakeEngine):
    """An engine whose machines are lost after some events, or at a job; before, it waits for a machine."""

    n_left = 30
    fails_at_submit = False

    def submit(self, *jobs: Job) -> None:
        if self.fails_at_submit and self.n_events >= self.n_left:
            raise ClusterGone("the head of the cluster is gone")
        super().submit(*jobs)

    def events(self, wait_s: float) -> Iterator[Event]:
        yield from super().events(wait_s)
        if not self.fails_at_submit and self.n_events >= self.n_left:
            raise ClusterGone("the head of the cluster is gone")

    def notices(self) -> Sequence[str]:
        return ["2 workers wanted, 1 there"] if 3 <= self.n_events < 6 else []


class Noting(Silent):
    """A display that keeps the notices."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[Sequence[str]] = []

    def noticed(self, notices: Sequence[str]) -> None:
        self.notices.append(notices)


@pytest.mark.parametrize("fails_at_submit", [False, True])
def test_a_sweep_that_loses_its_cluster_ends_in_order_and_resumes_to_the_whole_table(
    study_file: Callable[..., Path], tmp_path: Path, fails_at_submit: bool
) -> None:
    spec = load_checked(study_file(), OVERRIDES)
    with begin(spec, tmp_path / "whole") as study:
        whole = sweep(study, Silent(), FakeEngine(2, random.Random(3)))
    losing = LosingEngine(2, random.Random(3))
    losing.fails_at_submit = fails_at_submit
    with pytest.raises(ClusterGone) as caught, begin(spec, tmp_path / "cut") as study:
        sweep(study, Silent(), losing)
    n_ended = len((tmp_path / "cut" / "results.csv").read_text().splitlines()) - 1
    assert n_ended > 0
    assert f"the sweep ends after {n_ended} of 6 trials" in caught.value.message
    assert caught.value.hint == f"tunecli resume {tmp_path / 'cut'}"
    assert "cluster_gone" in (tmp_path / "cut" / "log.jsonl").read_text()
    with reopen(RunFolder.open_existing(tmp_path / "cut"), {}) as study:
        resumed = sweep(study, Silent(), FakeEngine(2, random.Random(4)))
    assert comparable(resumed.table) == comparable(whole.table)


def test_a_display_learns_of_notices_when_they_change(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    display, engine = Noting(), LosingEngine(2, random.Random(3))
    engine.n_left = 10**6
    with begin(load_checked(study_file(), OVERRIDES), tmp_path / "run") as study:
        sweep(study, display, engine)
    assert display.notices == [("2 workers wanted, 1 there",), ()]


def test_a_display_without_the_method_is_not_told(study_file: Callable[..., Path], tmp_path: Path) -> None:
    display, engine = Silent(), LosingEngine(2, random.Random(3))
    engine.n_left = 10**6
    assert not hasattr(display, "noticed")
    with begin(load_checked(study_file(), OVERRIDES), tmp_path / "run") as study:
        sweep(study, display, engine)
    assert display.ends == 6


MODULE = """
from tunecli import ClusterGone, EngineInfo

def lost(options):
    raise ClusterGone("the head of the cluster is gone")

LOST = EngineInfo("lost", "mine:lost", runs_elsewhere=True)
"""


def test_the_verb_exits_with_7_and_names_the_command_that_goes_on(tmp_path: Path) -> None:
    install(tmp_path / "site", "tunecli-mine", "1.0", {"mine.py": MODULE}, {"engines": {"lost": "mine:LOST"}})
    (tmp_path / "study.yaml").write_text(
        "study: s\nobjective: {metric: loss}\ntrial: {command: [sh, -c, 'echo loss=1']}\n"
    )
    words = ("search", "study.yaml", "--engine", "lost", "--workers", 1)
    searched = run_verb(*words, cwd=tmp_path, environment=environment_with(tmp_path / "site"))
    assert searched.returncode == 7, searched.stderr
    assert "after 0 of 1 trial; nothing is lost" in searched.stderr
    assert "try: tunecli resume runs/s" in searched.stderr
