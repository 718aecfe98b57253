"""Samplers by name: settings, order of the history, and imports."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest

from tests.support.spaces import space_of
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import SAMPLERS
from tunecli.search.protocols import suggest
from tunecli.search.samplers.bayes import bayes
from tunecli.trial import Observation, State

OURS = ("grid", "random", "quasirandom", "bayes")  # test_third_party tests the others


def test_suggest_calls_the_sampler_of_that_name() -> None:
    space = space_of("{x: {uniform: [0, 1], grid: 4}}")
    assert set(SAMPLERS) == {"grid", "random", "quasirandom", "bayes", "tpe", "cmaes"}
    for name in OURS:
        assert suggest(name, space, [], 2, 1) == implementation(SAMPLERS[name].implementation)(
            space, [], 2, 1
        )


def test_an_unknown_sampler_is_an_error_that_lists_all() -> None:
    with pytest.raises(UsageError, match="no sampler `hyperopt`") as caught:
        suggest("hyperopt", space_of("{}"), [], 0, 0)
    assert "grid, random, quasirandom, bayes" in caught.value.hint


def test_settings_reach_their_sampler_and_unknown_ones_are_errors() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    history = [Observation(i, {"x": i / 10}, State.COMPLETE, (i - 4.0) ** 2) for i in range(10)]
    settings = {"surrogate": "extra_trees", "acquisition": "lcb"}
    expected = bayes(space, history, 10, 2, surrogate="extra_trees", acquisition="lcb")
    assert suggest("bayes", space, history, 10, 2, settings) == expected
    assert suggest("bayes", space, history, 10, 2) != expected
    with pytest.raises(UsageError, match="`random` has no setting `surrogate`"):
        suggest("random", space, history, 10, 2, {"surrogate": "gp"})
    with pytest.raises(UsageError, match="`bayes` has no setting `depth`"):
        suggest("bayes", space, history, 10, 2, {"depth": "3"})


@pytest.mark.parametrize("name", OURS)
def test_the_order_in_which_trials_ended_does_not_matter(name: str) -> None:
    space = space_of("{x: {uniform: [0, 1], grid: 40}, y: {int: [1, 3]}}")
    history = [
        Observation(i, {"x": i / 10, "y": 1 + i % 3}, State.COMPLETE, (i - 4.0) ** 2) for i in range(10)
    ]
    blocks = (history[:3], history[3:6], history[6:])
    answers = [
        suggest(name, space, [o for block in order for o in block], 10, 2) for order in permutations(blocks)
    ]
    assert all(answer == answers[0] for answer in answers)


def test_importing_search_loads_no_scientific_stack() -> None:
    program = (
        "import sys, tunecli.search, tunecli.search.protocols;"
        "print({'skopt', 'scipy', 'sklearn', 'torch', 'threadpoolctl'} & {m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ["grid", "random"])
def test_grid_and_random_load_no_scientific_stack(name: str) -> None:
    program = (
        "import sys; from tunecli.search.protocols import suggest; from tunecli.config.space import Space;"
        "from tunecli.config.grammar import parse; from tunecli.config.reader import read;"
        f"print(suggest('{name}', Space(parse(read(b'{{x: {{int: [1, 9]}}}}', 'f'), print)), [], 0, 0) is not None,"
        "{'skopt', 'scipy', 'sklearn'} & {m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True set()\n"
