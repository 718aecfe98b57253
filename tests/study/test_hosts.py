"""A sweep on several machines: the record names the machine of each attempt, and the versions that differ there."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable
from tunecli.commands.check import load_checked
from tunecli.commands.confirm import confirm
from tunecli.commands.confirm_view import confirm_view
from tunecli.commands.one_trial import one_trial, one_trial_view
from tunecli.commands.report_record import study_facts
from tunecli.commands.results import mixtures
from tunecli.commands.status import status, status_view
from tunecli.engine.protocol import Host
from tunecli.messages import Event, Started
from tunecli.store.folder import RunFolder
from tunecli.study import confirming
from tunecli.study.record.candidates import Request
from tunecli.study.record.lifecycle import Study, begin
from tunecli.study.record.suggestions import first_suggestions
from tunecli.study.record.versions import versions
from tunecli.study.sweep import sweep


class HostsEngine(FakeEngine):
    """An engine with two machines, of which the second has another torch; the even trials run on the first."""

    n_asked = 0

    def events(self, wait_s: float) -> Iterator[Event]:
        for event in super().events(wait_s):
            yield replace(event, host=f"n{event.number % 2 + 1}") if isinstance(event, Started) else event

    def hosts(self) -> Sequence[Host]:
        self.n_asked += 1
        here = dict(versions())
        return [Host("n1", 1, versions=here), Host("n2", 1, versions={**here, "torch": "1.0"}), Host("n3", 1)]


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Iterator[Study]:
    overrides = ("run.workers=2", "run.engine=local")
    with begin(load_checked(study_file(), overrides), tmp_path / "run") as study:
        yield study


def test_each_attempt_names_its_machine_and_differing_versions_are_recorded_once(study: Study) -> None:
    engine = HostsEngine(2, random.Random(1))
    sweep(study, Silent(), engine)
    assert study.log.hosts() == {number: f"n{number % 2 + 1}" for number in range(6)}
    [(session, host, there)] = study.log.host_versions()
    assert (session, host, there["torch"]) == (1, "n2", "1.0")
    assert 1 <= engine.n_asked <= 2
    assert {"host": "n2", "versions": dict(there)} in map(
        json.loads, (study.folder.path / "log.jsonl").read_text().splitlines()
    )


def test_the_notices_of_an_engine_are_on_record_until_the_next_session(study: Study) -> None:
    notice = "the cluster has started 1 of 2 workers so far"
    engine = HostsEngine(2, random.Random(1))
    engine.notices = lambda: [notice]  # type: ignore[attr-defined]  # makes it one that has notices
    sweep(study, Silent(), engine)
    assert study.log.facts()["notices"] == [notice]
    sweep(study, Silent(), FakeEngine(2, random.Random(1)))
    assert study.log.facts()["notices"] == []


def test_the_table_is_that_of_a_sweep_on_one_machine(
    study: Study, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    there = sweep(study, Silent(), HostsEngine(2, random.Random(1))).table
    with begin(study.spec, tmp_path / "here") as other:
        here = sweep(other, Silent(), FakeEngine(2, random.Random(2))).table
    assert comparable(there) == comparable(here)
    with (tmp_path / "run" / "results.csv").open() as file:
        assert {row["device"] for row in csv.DictReader(file)} <= {"cpu", ""}


def test_a_trial_and_the_report_show_the_machine_and_the_versions(study: Study) -> None:
    sweep(study, Silent(), HostsEngine(2, random.Random(1)))
    view = one_trial_view(one_trial(RunFolder(study.folder.path), 3))
    assert ("machine", "n2") in view.lines
    assert view.data["machine"] == "n2"
    assert study_facts(study, study.log.trials(), None).machines == {"n1": 3, "n2": 3}
    notes = mixtures(study.log, study.log.trials())
    assert any(note.startswith("the trials ran with different versions of torch: 1.0, ") for note in notes)


def test_status_shows_the_machine_of_a_running_trial(study: Study) -> None:
    [first, *_] = first_suggestions(study.spec, 1)
    study.log.append_suggestion(first)
    study.log.append_start(Started(0, 1, "cpu", 4711, host="n7"), study.log.append_session({}))
    view = status_view(status(RunFolder(study.folder.path)))
    assert view.data["running_trials"][0]["machine"] == "n7"
    assert any(text.endswith("on n7") for _, text in view.lines)


def test_a_confirmation_names_the_machine_of_each_fresh_run(study: Study) -> None:
    sweep(study, Silent(), FakeEngine(2, random.Random(1)))
    request, names = Request(n_top=2, n_repeats=3), {}
    confirming.confirm(
        study,
        request,
        lambda _, run: names.update({(run.number, run.repeat): run.host}),
        HostsEngine(2, random.Random(1)),
    )
    data = confirm_view(confirm(RunFolder(study.folder.path), request)).data
    runs = {(run["trial"], run["repeat"]): run["machine"] for run in data["runs"]}
    assert runs == names == {(number, repeat): f"n{number % 2 + 1}" for number, repeat in runs}
    assert len(runs) >= 9
    assert {run["stage"] for run in data["runs"]} == {"race", "quote"}


def test_a_confirmation_on_this_machine_names_none(study: Study) -> None:
    sweep(study, Silent(), FakeEngine(2, random.Random(1)))
    request = Request(n_top=2, n_repeats=3)
    confirming.confirm(study, request, engine=FakeEngine(2, random.Random(1)))
    data = confirm_view(confirm(RunFolder(study.folder.path), request)).data
    assert {run["machine"] for run in data["runs"]} == {None}
    assert {run["state"] for run in data["runs"]} <= {"complete", "failed"}
