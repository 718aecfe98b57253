"""Facts that another version of this program recorded: they are read, or refused with a reason and no traceback."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.commands.check import load_checked
from tunecli.config.priors.prior import Prior, record_of
from tunecli.errors import StoreDamaged, StoreTooNew, TunecliError
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.plan.plan import Plan
from tunecli.study.record import facts as facts_module
from tunecli.study.record.facts import checked, plan_of, require_known_plan
from tunecli.study.record.lifecycle import begin, open_to_read, reopen

PLAN = asdict(Plan(6, 2, 2, 1, "cpu", "inline"))
WHOLE: dict[str, Any] = {
    "config": "study: a\n",
    "base_path": "/home/ana",
    "plan": PLAN,
    "overrides": ["search.trials=6"],
    "versions": {"tunecli": "0.1.0"},
    "code": {},
    "data": {"a.csv": "ab"},
    "elapsed_s": 1.5,
    "ending": "",
    "notices": ["node a left"],
    "start": [],
    "earlier": [],
    "ordered_choices": False,
    "priors": {"optimizer.lr": asdict(Prior("optimizer.lr", "log", 1e-3, 0.5))},
    "totals": [{"from": 0, "trials": 6}, {"from": 6, "trials": 20}],
    "part_sizes": {"train": 80, "valid": 20, "folded": False},
    "confirmation": 0,
    "sampler_choice": {},
    "defaults": 1,
}
NEEDED = {"config", "base_path", "plan"}
PATH = Path("study.db")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("name", WHOLE)
def test_a_missing_fact_has_its_default_or_is_an_error(name: str) -> None:
    rest = {key: value for key, value in WHOLE.items() if key != name}
    if name in NEEDED:
        with pytest.raises(StoreDamaged, match=rf"record `the study\.{name}`"):
            checked(rest, PATH)
    else:
        assert {**checked(rest, PATH), name: WHOLE[name]} == WHOLE


@pytest.mark.parametrize("name", PLAN)
def test_a_missing_field_of_the_plan_has_its_default_or_is_an_error(name: str) -> None:
    rest = {key: value for key, value in PLAN.items() if key != name}
    default = {known.name: known.default for known in fields(Plan)}[name]
    if default is not MISSING:
        assert getattr(plan_of(checked({**WHOLE, "plan": rest}, PATH), PATH), name) == default
    else:
        with pytest.raises(StoreDamaged, match=rf"record `plan\.{name}`"):
            checked({**WHOLE, "plan": rest}, PATH)


@given(
    st.dictionaries(st.text(max_size=6), VALUES, max_size=3),
    st.dictionaries(st.text(max_size=6), VALUES, max_size=3),
)
def test_unknown_facts_are_unchanged(facts: dict[str, Any], plan: dict[str, Any]) -> None:
    complete = checked({**facts, **WHOLE, "plan": {**plan, **PLAN}}, PATH)
    facts = {key: value for key, value in facts.items() if key not in WHOLE}
    assert repr({key: complete[key] for key in facts}) == repr(facts)
    assert plan_of(complete, PATH) == Plan(**PLAN)


@given(st.sampled_from([*WHOLE, *(f"plan.{name}" for name in PLAN)]), VALUES)
def test_a_fact_of_another_type_is_an_error_that_names_it(name: str, value: Any) -> None:
    facts = {**WHOLE, "plan": {**PLAN}}
    group, _, field = name.rpartition(".")
    (facts["plan"] if group else facts)[field] = value
    try:
        complete = checked(facts, PATH)
    except StoreDamaged as error:
        assert (error.exit_code, name in error.message) == (5, True), error.message
        return
    accepted = complete["plan"][field] if group else complete[field]
    assert type(accepted) is type(value) or {type(accepted), type(value)} == {int, float}


@pytest.fixture
def folder(study_file: Any, tmp_path: Path) -> RunFolder:
    """A study that has begun, without trials."""
    folder = RunFolder(tmp_path / "run")
    with begin(load_checked(study_file(), ()), folder.path):
        pass
    return folder


@pytest.mark.parametrize("unknown", [{"future": 1}, {"future": None, "more": {"a": [1]}}])
def test_a_plan_with_an_unknown_field_can_be_read_but_not_resumed(folder: RunFolder, unknown: Any) -> None:
    with Log.open(folder.database_path) as log:
        log.set_fact("plan", {**log.facts()["plan"], **unknown})
    before = folder.database_path.read_bytes()
    with open_to_read(folder) as study:
        assert study.plan.n_trials > 0
    for opened in (open_to_read(folder, must_know_plan=True), reopen(folder, {})):
        with pytest.raises(StoreTooNew, match="later tunecli: its plan has future") as caught, opened:
            pass
        assert caught.value.exit_code == 5
    assert folder.database_path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["config", "plan", "overrides", "versions", "code", "data", "elapsed_s", "ending"]
)
@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": 1}])
def test_a_fact_of_another_type_never_gives_a_traceback(folder: RunFolder, name: str, value: Any) -> None:
    with Log.open(folder.database_path) as log:
        log.set_fact(name, value)
    before = folder.database_path.read_bytes()
    for opened in (open_to_read(folder), reopen(folder, {})):
        try:
            with opened:
                pass
        except TunecliError as error:
            assert error.exit_code in (2, 5)
            assert error.exit_code == 2 or folder.database_path.read_bytes() == before


def test_the_error_of_a_file_from_another_version_names_the_version(folder: RunFolder) -> None:
    with Log.open(folder.database_path) as log:
        facts = log.facts()
        log.set_fact("config", facts["config"] + "\nlater: {than: this}\n")
        log.set_fact("versions", {**facts["versions"], "tunecli": "9.9"})
    with pytest.raises(TunecliError) as caught, open_to_read(folder):
        pass
    assert caught.value.exit_code == 2
    assert caught.value.hint.startswith("tunecli 9.9 began this study")


def test_a_new_study_records_only_known_facts(folder: RunFolder) -> None:
    with Log.open_to_read(folder.database_path) as log:
        facts = log.facts()
    require_known_plan(facts, PATH)
    known = {fact.name for fact in fields(facts_module._Facts)}
    assert {*facts} <= known


NUMBERS = """\
objective: {metric: loss}
trial: {command: [echo, "{n}"], params: {n: {choice: NUMBERS}}}
run: {device: cpu, workers: 1}
"""


@pytest.mark.parametrize(("options", "is_recorded"), [("[1, 2, 4]", True), ("[1, 2]", False)])
def test_a_study_keeps_the_order_of_numbers_that_it_began_with(
    tmp_path: Path, options: str, is_recorded: bool
) -> None:
    path, folder = tmp_path / "numbers.yaml", RunFolder(tmp_path / "run")
    path.write_text(NUMBERS.replace("NUMBERS", options))
    with begin(load_checked(path, ()), folder.path) as study:
        assert study.spec.space.orders_numbers
    with Log.open(folder.database_path) as log:
        assert ("ordered_choices" in log.facts()) is is_recorded
    for now in [True, False] if is_recorded else []:
        with Log.open(folder.database_path) as log:
            log.set_fact(
                "ordered_choices", now
            )  # a study that began before has no such fact, which means false
        for opened in (open_to_read(folder), reopen(folder, {})):
            with opened as study:
                assert study.spec.space.orders_numbers is now


KNOWN = """\
objective: {metric: loss}
trial: {command: [echo, "{n}"], params: {n: {loguniform: [1e-5, 1e-1], as: adamw.lr}}}
run: {device: cpu, workers: 1}
"""


def test_a_study_keeps_the_priors_that_it_began_with(tmp_path: Path) -> None:
    path, folder = tmp_path / "known.yaml", RunFolder(tmp_path / "run")
    path.write_text(KNOWN)
    with begin(load_checked(path, ()), folder.path) as study:
        known = study.spec.space.priors
        assert known.keys() == {"params.n"}
    other = {"params.n": replace(known["params.n"], centre=0.02)}  # as another version of the table would say
    for record, priors in [(record_of(known), known), (record_of(other), other), ({}, {})]:
        with Log.open(folder.database_path) as log:
            log.set_fact("priors", record)  # a study that began before has no such fact, and so no priors
        for opened in (open_to_read(folder), reopen(folder, {})):
            with opened as study:
                assert study.spec.space.priors == priors
    with Log.open(folder.database_path) as log:
        log.set_fact("priors", {"params.n": {"scale": "cubic"}})
    with pytest.raises(StoreDamaged, match="priors"), open_to_read(folder):
        pass
