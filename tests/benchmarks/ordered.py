"""Compare `bayes` with and without `ordered: false` on objectives with choices among numbers, paired by seed.

Each line has an objective, the mean regret after the last trial without and with order, and in how many of the seeds
each was better. The objectives are analytic, so the optimum is known.

    python -m tests.benchmarks.ordered --seeds 20 --trials 24
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from statistics import mean

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State

WIDTHS = "[16, 32, 64, 128, 256, 512, 1024]"
BATCHES = "[8, 16, 32, 64, 128, 256]"


def network(point: Parameters) -> float:
    """Digits-like: the best width and batch size lie inside, and the learning rate depends on the batch size."""
    width, batch = math.log2(float(point["width"])), math.log2(float(point["batch"]))
    rate = math.log10(float(point["lr"]))
    return 0.02 * (width - 7.6) ** 2 + 0.03 * (batch - 5.3) ** 2 + 0.3 * (rate + 3 - 0.3 * (batch - 5)) ** 2


def many(point: Parameters) -> float:
    """Four choices among nine numbers each; their effects add."""
    return sum(
        (math.log2(float(point[name])) - best) ** 2 for name, best in zip("abcd", (2, 4, 6, 5), strict=True)
    )


def shuffled(point: Parameters) -> float:
    """A choice among numbers whose order says nothing about the loss."""
    losses = {1: 0.7, 2: 0.1, 3: 0.9, 4: 0.0, 5: 0.8, 6: 0.3, 7: 1.0}
    return losses[int(point["kind"])] + (float(point["x"]) - 0.6) ** 2


OBJECTIVES: dict[str, tuple[str, Callable[[Parameters], float], float]] = {
    "network": (f"{{width: {{choice: {WIDTHS}ORDER}}, batch: {{choice: {BATCHES}ORDER}}, lr: {{loguniform: [1e-5, 1e-1]}}}}", network, 0.0059),
    "many": ("{" + ", ".join(f"{name}: {{choice: [1, 2, 4, 8, 16, 32, 64, 128, 256]ORDER}}" for name in "abcd") + "}", many, 0.0),
    "shuffled": ("{kind: {choice: [1, 2, 3, 4, 5, 6, 7]ORDER}, x: {uniform: [0, 1]}}", shuffled, 0.0),
}  # fmt: skip


def regret(name: str, order: str, seed: int, n_trials: int) -> float:
    text, objective, optimum = OBJECTIVES[name]
    space = Space(parse(read(text.replace("ORDER", order).encode(), name), print))
    history: list[Observation] = []
    for number in range(n_trials):
        point = suggest("bayes", space, history, number, seed)
        if point is None:
            break
        history.append(Observation(number, point, State.COMPLETE, objective(point)))
    return min(trial.loss for trial in history if trial.loss is not None) - optimum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--only", nargs="*", default=list(OBJECTIVES))
    options = parser.parse_args()
    for name in options.only:
        pairs = [
            tuple(regret(name, order, seed, options.trials) for order in (", ordered: false", ""))
            for seed in range(options.seeds)
        ]
        plain, ordered = (mean(pair[place] for pair in pairs) for place in (0, 1))
        wins = sum(pair[1] < pair[0] for pair in pairs), sum(pair[0] < pair[1] for pair in pairs)
        print(
            f"{name:<10} unordered {plain:.5f}  ordered {ordered:.5f}  ordered better {wins[0]}, worse {wins[1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
