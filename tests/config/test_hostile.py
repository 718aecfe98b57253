"""The reader is safe against hostile files: each one loads or is refused, in little time and memory."""

import gc
import itertools
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.mutants import RANGES, TOKENS, mutants
from tests.support.cost import is_at_most
from tunecli.config.load import parse_study
from tunecli.config.reader import MAX_BYTES, read
from tunecli.errors import ConfigError
from tunecli.train.validation import trial_problems

CONFIGS = Path(__file__).parents[2] / "configs"
WORTH_COMPARING_S = 0.020
"""Only a file whose refusal takes longer is compared with an ordinary one; this decides no test."""
MAX_MEMORY_BYTES = 64 * 2**20

HEAD = "objective: {metric: loss, direction: minimize}\ntrial:\n  python: mine:train\n  params:\n"


ORDINARY = "".join(f"key_{n}: {'a text of usual length, ' * 4}\n" for n in range(4_900)).encode()
"""A map with about as many nodes as the reader accepts."""


def shipped():
    return [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.yaml"))]


def is_refused(data, inspect=None):
    """Whether a file is refused with a `ConfigError`; raises any other error."""
    try:
        parse_study(data, "hostile.yaml", (), CONFIGS, inspect)
    except ConfigError as error:
        assert error.problems
        assert all(problem.message and str(problem) for problem in error.problems)
        return True
    return False


def is_refused_by_the_reader(data):
    try:
        read(data, "hostile.yaml")
    except ConfigError:
        return True
    return False


def is_cheap(data):
    """Whether refusing a file costs at most twice as much as reading the largest ordinary one."""
    return is_at_most(2, lambda: is_refused(data), lambda: read(ORDINARY, "ordinary.yaml"))


def count_loaded_mutants(n_documents, seed, inspect=None):
    """The number of ``n_documents`` mutants that load; fails if refusing one of them is dear."""
    n_loaded = 0
    for data in itertools.islice(mutants(shipped(), seed), n_documents):
        try:
            start = time.process_time()
            has_loaded = not is_refused(data, inspect)
            took_s = time.process_time() - start
        except Exception as error:
            error.add_note(f"the file was {data!r}")
            raise
        n_loaded += has_loaded
        if took_s > WORTH_COMPARING_S and is_refused_by_the_reader(data):
            assert is_cheap(data), data
    return n_loaded


def test_four_hundred_hostile_files_load_or_are_refused():
    n_loaded = count_loaded_mutants(400, seed=1, inspect=trial_problems)
    assert 20 < n_loaded < 120  # both gates are met: the mutants are neither all sound nor all rubbish


@pytest.mark.slow
def test_a_hundred_thousand_hostile_files_load_or_are_refused():
    assert count_loaded_mutants(100_000, seed=2) > 5_000


def test_hostile_files_use_little_memory_and_leak_none():
    is_refused(shipped()[0].encode())  # loads the modules, which stay in memory
    tracemalloc.start()
    try:
        for data in itertools.chain(
            itertools.islice(mutants(shipped(), 3), 100), map(str.encode, BOMBS.values())
        ):
            is_refused(data)
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_MEMORY_BYTES
    assert kept < 8 * 2**20


pieces = st.sampled_from(
    [*TOKENS, *RANGES, "  ", "\n", "a: ", "trial:", "study: ", "choice", "ref", "params"]
)


@given(st.lists(pieces | st.text(max_size=5), max_size=30).map("".join))
def test_any_sequence_of_pieces_loads_or_is_refused(text):
    is_refused(text.encode("utf-8", "surrogatepass"))
    is_refused((HEAD + "    " + text.replace("\n", "\n    ")).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    assert is_refused(data)


keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | keys,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            keys | st.sampled_from(["choice", "int", "list", "ref", "default", "of"]), inner, max_size=4
        )
    ),
    max_leaves=15,
)


def flow(tree):
    """The tree in the flow style of YAML."""
    match tree:
        case dict():
            return "{" + ", ".join(f"{flow(key)}: {flow(value)}" for key, value in tree.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, tree)) + "]"
        case str():
            return "'" + tree.replace("'", "''") + "'"
        case None:
            return "null"
        case bool():
            return str(tree).lower()
        case _:
            return str(tree).replace("inf", ".inf").replace("nan", ".nan")


@given(trees)
def test_any_tree_as_a_trial_or_as_its_parameters_loads_or_is_refused(tree):
    is_refused(f"objective: {{metric: val_loss}}\ntrial: {flow(tree)}\n".encode())
    is_refused(f"{HEAD}    a: {flow(tree)}\n".encode())
    is_refused(f"objective: {{metric: val_loss}}\nsearch: {flow(tree)}\nrun: {flow(tree)}\n".encode())


def doubled(n_levels):
    levels = [
        f"    a{i + 1}: {{x: {{ref: params.a{i}}}, y: {{ref: params.a{i}}}}}\n" for i in range(n_levels)
    ]
    return HEAD + "    a0: 1\n" + "".join(levels)


def lists(n_levels):
    return HEAD + "    a: " + "{list: {of: " * n_levels + "1" + ", length: 64}}" * n_levels


BOMBS = {
    "a list's end never comes": "[" * (MAX_BYTES - 1),
    "a map's end never comes": "{" * (MAX_BYTES - 1),
    "lists in blocks": "- " * (MAX_BYTES // 2),
    "keys that are keys": "? " * (MAX_BYTES // 2),
    "values": "a: [" + "1," * 490_000 + "]",
    "a key a line": "a: 1\n" * 190_000,
    "tags": "- !x 1\n" * 140_000,
    "aliases": "a: &a [" + "1," * 100 + "]\nb: [" + "*a," * 5_000 + "]",
    "aliases of aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 99)),
    "merge keys": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30)),
    "a number": "seed: " + "9" * 900_000,
    "a quoted text": 'a: "' + "\\n" * 490_000 + '"',
    "a folded text": "a: >\n" + " x\n" * 330_000,
    "a key": "? " + "study" * 190_000 + "\n: 1\n",
    "comments": "# x\n" * 249_000,
    "blanks": "a:" + " " * 990_000 + "1",
    "documents": "---\n" * 240_000,
    "lists of lists": lists(3),
    "lists of lists of lists": lists(12),
    "references to references": doubled(30),
    "references in a row": HEAD
    + "".join(f"    a{i}: {{ref: params.a{i + 1}}}\n" for i in range(2_000))
    + "    a2000: 1\n",
    "a list in the settings": "seed: {list: {of: {list: {of: {list: {of: 1, length: 64}}, length: 64}}, length: 64}}\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_yaml_bomb_is_refused_before_it_is_expanded(name):
    data = BOMBS[name].encode()
    assert is_refused(data)
    assert is_cheap(data)


@pytest.mark.parametrize(
    "params",
    [
        "".join(f"    a{i}: {{uniform: [0, 1]}}\n" for i in range(1_600)),
        "".join(f"    a{i}: {{choice: [1, {{ref: params.b}}]}}\n" for i in range(300)) + "    b: 1\n",
        "    a: {choice: [" + ", ".join(map(str, range(9_000))) + "]}\n",
        "    a: {choice: [" + ", ".join(["{name: x}"] * 3_000) + "]}\n",
    ],
    ids=["ranges", "choices with references", "options", "options of one name"],
)
def test_a_space_too_large_to_check_is_refused_and_not_gone_through(params):
    with pytest.raises(ConfigError) as caught:
        parse_study((HEAD + params).encode(), "hostile.yaml", (), CONFIGS)
    assert "too many ranges and options to check" in str(caught.value)
