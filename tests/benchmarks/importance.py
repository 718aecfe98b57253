"""Benchmark of the shares of parameters in worlds whose true shares are known.

    python -m tests.benchmarks.importance [--seeds 10] [--first-seed 100] [--worlds conditional,…] [--check]

Each line has one world, sampler and number of trials, over all seeds: Kendall's τ between estimated and true shares, the
fraction of studies in which the parameter with the largest estimated share is the most important one, the largest
share of a parameter that changes nothing, and how many studies are shown as reliable, with the fraction of these that
are right. Parameters that too few trials have are unknown, and are left out of "right". *Near* also counts a parameter
whose true share is at least 0.9 of the largest. With ``--check`` the program fails if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from scipy.stats import kendalltau

from tests.support.worlds import WORLDS, true_shares
from tunecli.config.axes import varying_parameters
from tunecli.effects import Reliability
from tunecli.search.importance import effects_of

STUDIES = [
    *((world, "quasirandom", 50) for world in ("conditional", "corner", "dead", "bowl")),
    *((world, "bayes", n) for world in ("conditional", "corner", "dead", "bowl") for n in (30, 50)),
    *(("digits", sampler, 32) for sampler in ("bayes", "quasirandom")),
]
_NEAR = 0.9
_N_POINTS = 4096  # of the true shares


@dataclass(frozen=True)
class Outcome:
    """One study.

    Attributes:
        tau: Kendall's τ (b) between the estimated and the true shares of all parameters.
        is_right, is_near: whether the first known parameter is the most important known one, or nearly as important.
        dead: the largest share of a parameter that changes nothing.
        reliability, r2: as shown.
    """

    tau: float
    is_right: bool
    is_near: bool
    dead: float
    reliability: Reliability
    r2: float


def outcome(kind: str, sampler: str, n_trials: int, seed: int) -> Outcome:
    """The effects in one world, compared with the true ones."""
    world = WORLDS[kind](seed)
    effects = effects_of(world.space, world.sweep(sampler, n_trials, seed), seed)
    truth = true_shares(world, _N_POINTS)
    keys = [parameter.key for parameter in varying_parameters(world.space)]
    pairs = [
        (effect.share.mean, truth[key], effect.is_known)
        for key, effect in zip(keys, effects.parameters, strict=True)
    ]
    tau = float(kendalltau([share for share, _, _ in pairs], [true for _, true, _ in pairs])[0])
    known = [(share, true) for share, true, is_known in pairs if is_known]
    first, greatest = max(known)[1], max(true for _, true in known)
    dead = [share for key, (share, _, _) in zip(keys, pairs, strict=True) if key in world.dead]
    return Outcome(
        tau,
        first == greatest,
        first >= _NEAR * greatest,
        max(dead, default=0.0),
        effects.reliability,
        effects.r2 or 0.0,
    )


def missed_bars(kind: str, sampler: str, outcomes: Sequence[Outcome]) -> list[str]:
    """The bars that the outcomes of one line miss."""
    missed = []
    shown = [each for each in outcomes if each.reliability is Reliability.RELIABLE]
    if kind == "digits":
        wrong = sum(each.tau < 0.6 for each in shown)
        if wrong > len(outcomes) / 10:
            missed.append(f"{wrong} of {len(outcomes)} are shown as reliable with τ below 0.6")
        return missed
    if sampler == "quasirandom":
        if mean(each.tau for each in outcomes) < 0.7:
            missed.append("τ is below 0.7")
        if mean(each.is_near for each in outcomes) < 0.9:
            missed.append("fewer than 90 % are right")
        if mean(each.dead for each in outcomes) > 0.02:
            missed.append("a dead parameter has a share above 0.02")
    return missed


def report(kind: str, sampler: str, n_trials: int, outcomes: Sequence[Outcome]) -> str:
    """One line of the table."""
    shown = [each for each in outcomes if each.reliability is Reliability.RELIABLE]
    unknown = sum(each.reliability is Reliability.UNKNOWN for each in outcomes)
    of_shown = (
        f"{mean(each.is_right for each in shown):4.0%} {mean(each.is_near for each in shown):4.0%} "
        f"{min(each.tau for each in shown):5.2f}"
        if shown
        else "   –    –     –"
    )
    return (
        f"{kind:<12} {sampler:<12} {n_trials:>3}  {mean(each.tau for each in outcomes):5.2f} "
        f"{min(each.tau for each in outcomes):5.2f}  {mean(each.is_right for each in outcomes):4.0%} "
        f"{mean(each.is_near for each in outcomes):4.0%}  {mean(each.dead for each in outcomes):.3f} "
        f"{max(each.dead for each in outcomes):.3f}  {mean(each.r2 for each in outcomes):5.2f}  "
        f"{unknown:>3} {len(shown):>3} of {len(outcomes):<3} {of_shown}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    print(
        "world        sampler        n    τ   least  right near   dead  most   R²   unknown reliable  right near  least τ"
    )
    missed, of_bayes = [], list[Outcome]()
    for kind, sampler, n_trials in STUDIES:
        if kind not in options.worlds.split(","):
            continue
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        outcomes = [outcome(kind, sampler, n_trials, seed) for seed in seeds]
        print(report(kind, sampler, n_trials, outcomes), flush=True)
        missed += [
            f"{kind}, {sampler}, {n_trials} trials: {bar}" for bar in missed_bars(kind, sampler, outcomes)
        ]
        if sampler == "bayes" and kind != "digits":
            of_bayes += [each for each in outcomes if each.reliability is Reliability.RELIABLE]
    if of_bayes:
        near = mean(each.is_near for each in of_bayes)
        print(f"bayes, shown as reliable: {near:.0%} of {len(of_bayes)} right or near")
        if near < 0.9:
            missed.append("bayes: fewer than 90 % of the reliable studies are right")
    for bar in missed:
        print(f"missed: {bar}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
