"""Which kind a file is, and files that are hostile or no sweep at all."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importers import test_determined, test_hydra, test_katib, test_nni, test_ray, test_wandb
from tests.support.foreign_files import checked, imported
from tunecli.config.reader import plain_of, read
from tunecli.errors import ConfigError, UsageError
from tunecli.importers.kinds import KINDS, import_study
from tunecli.importers.written import document, written

FILES = {
    "wandb": [test_wandb.IMAGE_SWEEP, test_wandb.ANCHORED_SWEEP, test_wandb.NESTED_SWEEP],
    "hydra": [test_hydra.TEMPLATE, test_hydra.OLD_SPACE, test_hydra.COMMAND],
    "ray": [json.dumps(one) for one in (test_ray.TUNER, test_ray.GRID, test_ray.LISTED)],
    "nni": [test_nni.SPACE, json.dumps(test_nni.NESTED), test_nni.EXPERIMENT],
    "katib": [test_katib.JOB, test_katib.TENSORFLOW, test_katib.BARE],
    "determined": [test_determined.ADAPTIVE, test_determined.GRID, test_determined.SINGLE],
}
EVERY_FILE = [(kind, text) for kind, texts in FILES.items() for text in texts]


@pytest.mark.parametrize(
    ("kind", "text"), EVERY_FILE, ids=[f"{kind}-{len(text)}" for kind, text in EVERY_FILE]
)
def test_kind_follows_from_the_content_and_the_result_is_the_same_if_it_is_named(kind, text):
    found = imported(text)
    assert found.kind.name == kind
    assert imported(text, kind).text == found.text
    checked(found)


def test_three_files_of_each_kind_are_tried():
    assert {kind: len(texts) for kind, texts in FILES.items()} == dict.fromkeys(KINDS, 3)


@pytest.mark.parametrize(
    "text", ["a: 1\n", "{}", "[]", "just words", "- a\n- b\n", "trial: {data: {source: digits}}\n"]
)
def test_file_without_a_kind_is_refused_with_the_signs_of_each(text):
    with pytest.raises(UsageError) as caught:
        imported(text)
    assert all(kind in caught.value.hint for kind in KINDS)


def test_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="unknown kind `sigopt`"):
        imported("a: 1", "sigopt")


def bomb(levels: int) -> str:
    lines = [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9) if level else '1'}]"
        for level in range(levels)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"\0",
        b"a" * 1_000_001,
        b"parameters: [",
        b"x: !!python/object/apply:os.system ['true']",
        b"x: &a {b: *a}",
        b"<<: [" * 100,
        b"[" * 100_000,
        bomb(12).encode(),
        b"a: &a {x: 1}\nb: {<<: 3}\nmethod: random\nparameters: {x: {value: 1}}",
        b"a: 1\na: 2",
        b"--- 1\n--- 2",
        b"x: " + b"9" * 5000,
    ],
    ids=range(14),
)
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_hostile_file_is_refused_with_a_problem(kind, data):
    with pytest.raises((ConfigError, UsageError)):
        import_study(data, "hostile", kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ray"])
@pytest.mark.parametrize("text", ["[1, 2]", "3", "null"])
def test_file_that_is_no_map_is_refused(kind, text):
    with pytest.raises(ConfigError, match="1 problem"):
        imported(text, kind)


WORDS = st.sampled_from(
    [
        "method",
        "parameters",
        "metric",
        "name",
        "goal",
        "values",
        "min",
        "max",
        "distribution",
        "hydra",
        "sweeper",
        "params",
        "searcher",
        "type",
        "minval",
        "maxval",
        "base",
        "_type",
        "_value",
        "choice",
        "uniform",
        "spec",
        "objective",
        "param_space",
        "tune_config",
        "num_samples",
        "lr",
        "command",
        "early_terminate",
        "hyperparameters",
        "entrypoint",
        "trialTemplate",
        "feasibleSpace",
        "list",
        "defaults",
    ]  # shorter than a list
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.sampled_from(
        ["grid", "log", "int", "tune.uniform(0, 1)", "choice(1,2)", "interval(1", "${args}", "{x}", "random"]
    ),
    WORDS,
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=25,
)


@given(tree=TREES, kind=st.sampled_from([None, *KINDS]))
@settings(deadline=None)
def test_any_tree_is_converted_or_refused_without_a_crash(tree, kind):
    data = json.dumps(tree).encode()
    try:
        study = import_study(data, "any.json", kind)
    except (ConfigError, UsageError):
        return
    assert plain_of(read(study.text.encode(), "study.yaml"))


@pytest.mark.parametrize(
    ("kind", "text"), EVERY_FILE, ids=[f"{kind}-{len(text)}" for kind, text in EVERY_FILE]
)
def test_file_with_any_line_missing_is_converted_or_refused(kind, text):
    lines = text.splitlines()
    for place in range(len(lines)):
        with_a_gap = "\n".join([*lines[:place], *lines[place + 1 :]])
        try:
            imported(with_a_gap, kind)
        except (ConfigError, UsageError):
            continue


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8"), max_size=12),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    tree=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), PLAIN, max_size=4
    )
)
@settings(deadline=None)
def test_written_tree_reads_back_as_itself(tree):
    text = document(tree)
    if "\\U00000000" in text or any(key == "<<" for key in keys_of(tree)) or not tree:
        return
    assert same(plain_of(read(text.encode(), "f")), tree)


def keys_of(tree):
    if isinstance(tree, dict):
        return [*tree, *itertools.chain.from_iterable(map(keys_of, tree.values()))]
    return [*itertools.chain.from_iterable(map(keys_of, tree))] if isinstance(tree, list) else []


def same(one, other):
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and [*one] == [*other] and all(same(one[key], other[key]) for key in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "No",
        "on",
        "n",
        "1e3",
        "0x1f",
        "",
        "~",
        "null",
        "a: b",
        "#x",
        "- a",
        "{x}",
        "'",
        '"',
        "a\nb",
        "\u200b",
    ],
)
def test_text_that_could_be_anything_else_is_quoted(word):
    assert read(f"a: {written(word)}".encode(), "f").items["a"].value == word
    assert written(word)[0] in "'\""
