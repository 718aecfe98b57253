"""Benchmark of wrong priors: sweeps whose priors have little mass at the best point, beside the same sweeps without any.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.wrong_priors [--lcbench DIR] [--problems bowl,…] [--kinds none,…] [--seeds 16]

The problems are a bowl of five parameters with a random centre, `hartmann6` and `optimizers` of `spaces.py`, and, with
``--lcbench``, the tasks of `lcbench.py` in turn. The priors of a sweep have one of these kinds:

- ``opposite``: each is half a range away from the best known value, with a deviation of 0.15 of the range. The best
  option of a choice has a fifth of the weight of the others.
- ``shuffled``: LCBench alone; each range has the prior of another one's setting.
- ``right``: as ``opposite``, but around the best known value, moved by a normal error of 0.1.
- ``settings``: LCBench alone; the priors of its own settings.
- ``defaults`` and ``good-defaults``: not of `optimizers`; a `default:` at the centre of each prior of the kinds
  ``opposite`` and ``right``, and no priors.

All kinds have the same seeds, so they are compared to ``none`` in pairs.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import lcbench, spaces
from tests.benchmarks.problems import number, space_of
from tunecli.config.domains import Categorical, Integer, Real, bounds, unit_of_value
from tunecli.config.priors.prior import Prior, Scale, position, value_at_position
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.space import Space, point_of_units
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State

KINDS = ("none", "opposite", "shuffled", "right", "settings", "defaults", "good-defaults")
_LCBENCH_ALONE = ("shuffled", "settings")
_RANGE = re.compile(r"([\w.]+): \{(\w+): \[([^]]*)\]\}")
MARKS = (5, 10, 15, 25, 50)
_DEVIATION, _ERROR = 0.15, 0.1  # in shares of a range
_LEAST = 1e-4  # of a regret; lower ones are equal
_N_BOWL = 5


@dataclass(frozen=True)
class Case:
    """One function and its best known point; the lowest regret is 0."""

    text: str
    regret: Callable[[Parameters], float]
    best: Parameters


def _bowl(seed: int) -> Case:
    generator = np.random.default_rng([seed, 21])
    centre_D, steepness_D = generator.uniform(0.05, 0.95, _N_BOWL), generator.uniform(0.3, 3.0, _N_BOWL)
    names = [f"x{index}" for index in range(_N_BOWL)]

    def regret(point: Parameters) -> float:
        at_D = np.array([number(point, name) for name in names])
        return float(steepness_D @ np.square(at_D - centre_D))

    text = "{" + ", ".join(f"{name}: {{uniform: [0, 1]}}" for name in names) + "}"
    return Case(text, regret, dict(zip(names, centre_D.tolist(), strict=True)))


def _hartmann6(seed: int) -> Case:
    best = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
    text = spaces.PROBLEMS["hartmann6"].text
    return Case(text, spaces.hartmann6, {f"x{index}": value for index, value in enumerate(best)})


def _optimizers(seed: int) -> Case:
    best: Parameters = {
        "optimizer": "adamw",
        "optimizer.lr": 1e-3,
        "optimizer.weight_decay": 1e-2,
        "activation": "relu",
        "depth": 3,
        "width": 128,
        "dropout": 0.2,
    }
    return Case(spaces.PROBLEMS["optimizers"].text, spaces.optimizers, best)


PROBLEMS: Mapping[str, Callable[[int], Case]] = {
    "bowl": _bowl,
    "hartmann6": _hartmann6,
    "optimizers": _optimizers,
}
LCBENCH = "lcbench"
_SPACE = lcbench.SPACE.replace("DECAY", "loguniform")


def _lcbench(data: Path, seed: int) -> Case:
    task = _tasks(data)[seed % len(_tasks(data))]
    return Case(
        _SPACE, lambda point: task.regret(task.error(point)), _best_of(data, seed % len(_tasks(data)))
    )


@lru_cache(maxsize=1)
def _tasks(data: Path) -> list[lcbench.Task]:
    return lcbench.load(data)


@lru_cache(maxsize=64)
def _best_of(data: Path, index: int) -> Parameters:
    """The best of 2,000 random points of a task."""
    task, own = _tasks(data)[index], space_of(_SPACE)
    units_MD = np.random.default_rng(5).random((2000, len(own.parameters)))
    return min((point_of_units(own, row.tolist()) for row in units_MD), key=task.error)


def space_with_priors(case: Case, kind: str, seed: int) -> Space:
    """The space of a case with priors of a kind."""
    own, generator = space_of(case.text), np.random.default_rng([seed, 22])
    match kind:
        case "none":
            return own
        case "settings":
            return with_priors(space_of(lcbench.with_settings(case.text)))
        case "shuffled":
            return with_priors(space_of(_shuffled(case.text, generator)))
        case "defaults":
            return _with_defaults(case, moved_priors(case, "opposite", generator))
        case "good-defaults":
            return _with_defaults(case, moved_priors(case, "right", generator))
    return replace(own, priors=moved_priors(case, kind, generator))


def moved_priors(case: Case, kind: str, generator: np.random.Generator) -> dict[str, Prior]:
    """The priors of the kind ``opposite`` or ``right``, by key."""
    priors, own = {}, space_of(case.text)
    for parameter in own.parameters:
        value = case.best.get(parameter.name)
        of_branch = {condition.key: condition.values for condition in parameter.conditions}
        is_best_branch = all(case.best.get(key) in values for key, values in of_branch.items())
        domain = parameter.domain
        if isinstance(domain, Categorical):
            heavy, light = (1.0, 0.2) if kind == "opposite" else (0.2, 1.0)
            weights = tuple(light if option == value else heavy for option in domain.options)
            priors[parameter.key] = Prior("wrong", weights=weights)
            continue
        assert isinstance(domain, Integer | Real)
        unit = unit_of_value(domain, value) if value is not None and is_best_branch else generator.random()
        moved = (unit + 0.5) % 1.0 if kind == "opposite" else unit + generator.normal(0.0, _ERROR)
        scale: Scale = "log" if domain.is_log else "linear"
        low, high = (position(scale, float(end)) for end in bounds(domain))  # type: ignore[arg-type]  # numbers
        centre = value_at_position(scale, low + min(max(moved, 0.0), 1.0) * (high - low))
        priors[parameter.key] = Prior("wrong", scale, centre, _DEVIATION * (high - low))
    return priors


def _with_defaults(case: Case, priors: Mapping[str, Prior]) -> Space:
    """The space of a case, which has one branch alone, with the centre of each prior as its default."""

    def with_default(found: re.Match[str]) -> str:
        name, word, ends = found.groups()
        centre = priors[name].centre
        return f"{name}: {{{word}: [{ends}], default: {round(centre) if 'int' in word else centre:.6g}}}"

    return space_of(_RANGE.sub(with_default, case.text))


def _shuffled(text: str, generator: np.random.Generator) -> str:
    """The text of LCBench in which each range has the prior of another one's setting."""
    names = list(lcbench.AS)
    while True:
        others = generator.permutation(names).tolist()
        if all(name != other for name, other in zip(names, others, strict=True)):
            break
    settings = dict(zip(names, (lcbench.AS[other] for other in others), strict=True))
    lines = (line.partition(": ") for line in text.strip().splitlines())
    return "\n".join(f"{name}: {body[:-1]}, as: {settings[name]}}}" for name, _, body in lines)


def main() -> None:
    """Run the sweeps and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lcbench", type=Path, help="the folder with tasks.json and model.onnx")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--kinds", default="none,opposite,shuffled", help=", ".join(KINDS))
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--json", type=Path, help="a file that keeps the sweeps, and is read first")
    options = parser.parse_args()
    problems = [*options.problems.split(","), *([LCBENCH] if options.lcbench else [])]
    problems = [*dict.fromkeys(filter(None, problems))]
    run(problems, options.kinds.split(","), range(options.seeds), options.lcbench, options.json)


def sweep(case: Case, own: Space, seed: int, n_trials: int) -> list[float]:
    """The lowest regret after each trial."""
    done: list[Observation] = []
    for index in range(n_trials):
        point = suggest("bayes", own, done, index, seed)
        assert point is not None
        done.append(Observation(index, point, State.COMPLETE, case.regret(point)))
    regrets: list[float] = np.minimum.accumulate([trial.loss or 0.0 for trial in done]).tolist()
    return regrets


def run(
    problems: Sequence[str], kinds: Sequence[str], seeds: Sequence[int], data: Path | None, path: Path | None
) -> None:
    """Print the tables; ``path`` keeps the sweeps, and those in it are not run again."""
    known: dict[str, Any] = json.loads(path.read_text()) if path and path.exists() else {}
    for problem in problems:
        for seed in seeds:
            case = _lcbench(data, seed) if problem == LCBENCH and data else PROBLEMS[problem](seed)
            for kind in kinds:
                of_kind = known.setdefault(problem, {}).setdefault(kind, {})
                is_left_out = problem != LCBENCH and kind in _LCBENCH_ALONE
                is_left_out |= problem == "optimizers" and kind.endswith("defaults")
                if is_left_out or str(seed) in of_kind:
                    continue
                of_kind[str(seed)] = sweep(case, space_with_priors(case, kind, seed), seed, MARKS[-1])
                if path:
                    path.write_text(json.dumps(known))
        for line in table(problem, known[problem], [str(seed) for seed in seeds]):
            print(line, flush=True)


def table(
    problem: str, known: Mapping[str, Mapping[str, Sequence[float]]], seeds: Sequence[str]
) -> Iterator[str]:
    """Yield the lines of one problem: for each mark and kind the regrets, and the comparison to ``none``."""
    yield f"{problem:>10} {'after':>5} {'mean ± se':>18}{'median':>9}{'90 %':>9}{'ratio':>8}{'of logs':>9}{'difference':>20}{'better':>9}"
    for mark in MARKS:
        columns = {
            kind: np.array([sweeps[seed][mark - 1] for seed in seeds])
            for kind, sweeps in known.items()
            if all(seed in sweeps for seed in seeds)
        }
        for kind, regret_N in columns.items():
            root = math.sqrt(len(regret_N))
            line = f"{kind:>10} {mark:>5} {regret_N.mean():>10.4f} ± {regret_N.std(ddof=1) / root:.4f}"
            line += f"{np.median(regret_N):>9.4f}{np.quantile(regret_N, 0.9):>9.4f}"
            if kind != "none" and "none" in columns:
                alone_N = columns["none"]
                by_N = regret_N - alone_N
                ratio = np.exp((np.log(regret_N + _LEAST) - np.log(alone_N + _LEAST)).mean())
                line += f"{regret_N.mean() / alone_N.mean():>8.2f}{ratio:>9.2f}{by_N.mean():>12.4f} ± {by_N.std(ddof=1) / root:.4f}"
                line += f"{int((by_N < -_LEAST).sum()):>5}/{int((by_N > _LEAST).sum())}"
            yield line


if __name__ == "__main__":
    main()
