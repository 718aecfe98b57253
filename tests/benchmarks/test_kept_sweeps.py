"""Benchmarks keep sweeps in files, and print tables of them."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import kept_sweeps
from tests.benchmarks.kept_sweeps import PEERS_FOLDER, KeptSweeps
from tests.benchmarks.problems import space_of
from tests.benchmarks.regrets import is_peer, log_ratio, mean_and_error
from tests.benchmarks.sweep_files import KeptSweep, SweepFile
from tunecli.trial import Parameters

SPACE = space_of("{x: {uniform: [0, 1]}, kind: {choice: [a, b]}}")
SWEEP = KeptSweep.of(5, enumerate([math.inf, 0.5, 0.7, 0.25, 0.3], start=1), [0.1, 0.2])


def height(point: Parameters) -> float | None:
    return None if point["kind"] == "b" else float(str(point["x"]))


def kept(path: Path | None, *joined: Path, lift: float = 0.0) -> KeptSweeps:
    """Return the sweeps of the problems `hill`, which is moved by ``lift``, and `dale`."""
    options = argparse.Namespace(json=path, join=list(joined), no_peers=True)

    def lifted(point: Parameters) -> float | None:
        value = height(point)
        return lift if value is None else value + lift

    problems = {"hill": (SPACE, lifted), "dale": (SPACE, height)}
    return KeptSweeps("trials", problems, options, peers="none")


def test_a_kept_sweep_has_the_best_value_at_each_trial():
    assert SWEEP.best == ((2, 0.5), (4, 0.25))
    assert [SWEEP.best_within(mark) for mark in (1, 2, 3, 4, 5)] == [math.inf, 0.5, 0.5, 0.25, 0.25]


def test_the_fresh_trainings_of_the_best_trial_are_kept_and_shown(tmp_path, capsys):
    path = tmp_path / "sweeps.json"
    fresh = {0.5: [0.6, None], 0.25: [0.3, 0.5]}
    ends = list(enumerate([math.inf, 0.5, 0.7, 0.25, 0.3], start=1))
    kept(path).add("random", "hill", 3, KeptSweep.of(5, ends, [0.1], fresh_of=fresh.__getitem__))
    again = kept(path)
    again.add("random", "hill", 4, SWEEP)  # without fresh trainings: not in the table
    sweep = again.all_methods(["random"])["random"].sweeps["hill"]["3"]
    assert [sweep.fresh_within(mark) for mark in (1, 2, 3, 4)] == [(), (0.6, None), (0.6, None), (0.3, 0.5)]
    again.print_fresh_table(
        "fresh regret after trials",
        ["random"],
        [1, 2, 5],
        (["hill"], range(9)),
        lambda _, losses: sum(1.0 if loss is None else loss for loss in losses) / len(losses),
    )
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row[1::6][:3] == ["1.0000", "0.8000", "0.4000"]
    assert row[6] == "1"


def test_a_sweep_without_fresh_trainings_runs_again_where_they_are_asked_for(tmp_path):
    path = tmp_path / "sweeps.json"
    kept(path).add("random", "hill", 3, SWEEP)
    options = argparse.Namespace(json=path, join=[], no_peers=True)
    asking = KeptSweeps("trials", {"hill": (SPACE, height)}, options, peers="none", is_fresh=True)
    assert not asking.known("random", "hill", 3, 5)


def test_a_further_run_goes_on_with_the_sweeps_that_the_file_lacks(tmp_path):
    path = tmp_path / "sweeps.json"
    kept(path).add("random", "hill", 3, SWEEP)
    again = kept(path)
    assert again.known("random", "hill", 3, 5)
    assert not again.known("random", "hill", 3, 6)  # more trials
    assert not again.known("random", "hill", 4, 5)
    assert not again.known("random", "dale", 3, 5)
    again.add("random", "dale", 3, SWEEP)
    (method,) = SweepFile(path, "trials").methods.values()
    assert method.sweeps == {"hill": {"3": SWEEP}, "dale": {"3": SWEEP}}


def test_sweeps_of_two_groups_share_a_file(tmp_path):
    path = tmp_path / "sweeps.json"
    kept(path).add("random", "hill", 3, SWEEP)
    SweepFile(path, "epochs").write()
    assert SweepFile(path, "trials").methods["random"].sweeps == {"hill": {"3": SWEEP}}


def test_sweeps_of_a_changed_problem_are_neither_shown_nor_replaced(tmp_path, capsys):
    path = tmp_path / "sweeps.json"
    before = kept(path)
    before.add("random", "hill", 3, SWEEP)
    before.add("random", "dale", 3, SWEEP)
    shown = kept(None, path, lift=0.5).all_methods(["random"])
    assert list(shown["random"].sweeps) == ["dale"]
    assert "hill changed" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="use another file"):
        kept(path, lift=0.5)


def test_sweeps_by_another_version_are_not_gone_on_with(tmp_path, monkeypatch):
    path = tmp_path / "sweeps.json"
    kept(path).add("random", "hill", 3, SWEEP)
    monkeypatch.setattr(kept_sweeps, "_search_digest", lambda: "another")
    again = kept(path)
    assert again.known("random", "hill", 3, 5)
    with pytest.raises(SystemExit, match="not tunecli/search another"):
        again.known("random", "hill", 4, 5)


def test_an_earlier_version_of_a_method_has_the_name_of_its_file(tmp_path, capsys):
    earlier = tmp_path / "before.json"
    kept(earlier).add("bayes", "hill", 0, SWEEP)
    present = kept(None, earlier)
    present.add("bayes", "hill", 0, KeptSweep.of(5, [(1, 0.125)], [0.1]))
    present.print_table("regret after trials", ["bayes"], [1, 5], (["hill"], range(1)), unfinished=1.0)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2][:4] == ["bayes", "0.1250", "±", "0.0000"]
    assert lines[3][:5] == ["bayes", "(before)", "1.0000", "±", "0.0000"]
    assert lines[5][4] == "0.12"  # the ratio of the means after one trial


def test_means_are_of_problems_and_ratios_of_shared_sweeps():
    ours = {("p", "0"): 1.0, ("p", "1"): 3.0, ("q", "0"): 8.0}
    mean, error = mean_and_error(ours)
    assert mean == 5.0
    assert error == pytest.approx(np.std([2.0, 8.0], ddof=1) / np.sqrt(2))
    ratio, _ = log_ratio(ours, {("p", "0"): 2.0, ("r", "0"): 9.0})
    assert ratio == pytest.approx(math.log(0.5), abs=1e-3)
    below_zero, _ = log_ratio({("p", "0"): -0.5}, {("p", "0"): 0.0})
    assert below_zero == 0.0


@pytest.mark.parametrize("path", sorted(PEERS_FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_the_kept_sweeps_of_peers_are_whole(path):
    for group in json.loads(path.read_text()):
        file = SweepFile(path, group)
        for name, method in file.methods.items():
            assert is_peer(name)
            assert method.versions
            assert set(method.sweeps) <= set(file.probes)
            for sweep in (sweep for of_problem in method.sweeps.values() for sweep in of_problem.values()):
                spent, values = zip(*sweep.best, strict=True)
                assert list(spent) == sorted(spent)
                assert spent[-1] <= sweep.budget
                assert list(values) == sorted(values, reverse=True)
                assert len(sweep.fresh) in (0, len(sweep.best))
