"""Advice from failed trials: all of them failed, or those in one region of the space.

A sampler that learns avoids the places of failed trials, for any reason that made them fail. So failed trials are early
ones, and early trials lie elsewhere than late ones on every axis. The test of a region therefore compares failed trials
with others of the same time only.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tunecli.results.advice.basis import command, named, option_in_yaml, position_on, value_at, value_text
from tunecli.results.report import Axis, AxisKind, Finding, Report, Severity
from tunecli.text import counted, sanitize, shown_number
from tunecli.trial import FailureKind, State, Trial

MIN_FAILED = 3
"""Fewer failures show no region: with two of 40 trials, the smallest p of a rank test is about 0.02."""
MAX_P = 0.05
"""Of the whole rule: each test gets this, divided by the number of tests (Bonferroni)."""
N_IN_BLOCK = 20
"""Consecutive trials that the test compares with each other."""
MAX_BLOCKS = 50
"""Blocks with failures that are tested, spread over all of them: a long study with many parameters takes a second."""
MIN_FAILED_SHARE_RATIO = 2.0
"""The failed share inside of the region, over that outside of it."""
_BY_THE_TRIAL = {
    FailureKind.OOM,
    FailureKind.DIVERGED,
    FailureKind.TIMEOUT,
    FailureKind.CRASH,
    FailureKind.ERROR,
}
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_BRANCH = re.compile(rf"(?P<parent>{_PLAIN_NAME.pattern}) = (?P<option>[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Placed:
    """An ended trial on one axis: the block of time that it belongs to, its position, and whether it failed."""

    block: int
    position: float
    is_failed: bool


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of one axis in which trials fail: from ``cut`` to the end, up to ``cut``, or one option.

    Attributes:
        axis: the axis.
        cut: a position; of an option its index.
        side: 1: above the cut, -1: below it, 0: the option.
        p: of the test, multiplied by the number of tests.
        n_failed, n: the failed and all trials in the region.
        n_failed_outside, n_outside: those on the rest of the axis.
    """

    axis: Axis
    cut: float
    side: int
    p: float
    n_failed: int = 0
    n: int = 0
    n_failed_outside: int = 0
    n_outside: int = 0


def all_failed(report: Report) -> list[Finding]:
    """Every trial that ended has failed."""
    ended = [
        row.trial for row in report.ranked if row.trial.state.shown not in (State.WAITING, State.RUNNING)
    ]
    if not ended or any(trial.state is not State.FAILED for trial in ended):
        return []
    first = min(trial.number for trial in ended)
    verb = "logs" if report.facts.is_own_code else "results"
    claim = "The only trial failed." if len(ended) == 1 else f"All {len(ended):,} trials failed."
    return [
        Finding(
            "all-failed",
            Severity.MISLEADING,
            claim,
            f"The most frequent cause: {sanitize(report.failures[0])}." if report.failures else "",
            command(report, verb, f"--trial {first}"),
            weight=math.inf,
        )
    ]


def failing_region(report: Report) -> list[Finding]:
    """Trials fail in one part of a parameter's range, or with one of its options; the clearest region alone."""
    failed = [row.trial for row in report.ranked if _failed_by_itself(row.trial)]
    ended = [
        row.trial for row in report.ranked if row.trial.state.shown in (State.COMPLETE, State.PRUNED)
    ] + failed
    if not MIN_FAILED <= len(failed) < len(ended):
        return []
    tested = _tested(ended)
    n_tests = sum(len(_sides(axis)) for axis in report.axes)
    regions = [
        _counted(region, _placed(report, ended, index))
        for index, axis in enumerate(report.axes)
        for region in _regions(axis, _placed(report, tested, index), n_tests)
    ]
    regions = [
        each
        for each in regions
        if each.n_outside
        and each.n_failed / each.n >= MIN_FAILED_SHARE_RATIO * each.n_failed_outside / each.n_outside
    ]
    if not regions:
        return []
    region = min(regions, key=lambda each: each.p)
    where = _where_text(region)
    return [
        Finding(
            "failing-region",
            Severity.PROBLEM,
            f"Trials fail where {where}.",
            f"{region.n_failed:,} of {counted(region.n, 'trial')} failed there, and {region.n_failed_outside:,} of"
            f" {region.n_outside:,} elsewhere (rank test, p = {shown_number(region.p, 1)}).",
            _condition(region),
            parameter=region.axis.name,
            trials=tuple(sorted(trial.number for trial in failed)),
            weight=-math.log10(max(region.p, 1e-300)),
        )
    ]


def rank_test(placed: Sequence[Placed]) -> float:
    """The z of a rank test of the failed trials' positions against those of the others in the same block.

    Van Elteren (1960), "On the combination of independent two sample tests of Wilcoxon": the rank sums of the blocks,
    each divided by the block's size plus one. Ties have their mean rank and reduce the variance. With one block it is
    the test of Mann and Whitney (1947). Above 0: failed trials lie higher.
    """
    blocks: dict[int, list[Placed]] = defaultdict(list)
    for each in placed:
        blocks[each.block].append(each)
    difference = variance = 0.0
    for block in blocks.values():
        n, n_failed = len(block), sum(each.is_failed for each in block)
        if not 0 < n_failed < n:
            continue
        ranks = _mean_ranks([each.position for each in block])
        mean = (n + 1) / 2
        observed = math.fsum(rank for rank, each in zip(ranks, block, strict=True) if each.is_failed)
        squares = math.fsum((rank - mean) ** 2 for rank in ranks)
        weight = 1 / (n + 1)
        difference += weight * (observed - n_failed * mean)
        variance += weight**2 * n_failed * (n - n_failed) / (n * (n - 1)) * squares
    return difference / math.sqrt(variance) if variance > 0 else 0.0


def _failed_by_itself(trial: Trial) -> bool:
    failure = trial.outcome.failure if trial.outcome is not None else None
    return trial.state is State.FAILED and failure is not None and failure.kind in _BY_THE_TRIAL


def _tested(ended: Sequence[Trial]) -> list[Trial]:
    """The trials of the blocks that have a failed trial; of many blocks, some that are spread evenly."""
    blocks = sorted({trial.number // N_IN_BLOCK for trial in ended if trial.state is State.FAILED})
    stride = -(-len(blocks) // MAX_BLOCKS)
    chosen = set(blocks[::stride])
    return [trial for trial in ended if trial.number // N_IN_BLOCK in chosen]


def _placed(report: Report, ended: Sequence[Trial], index: int) -> list[Placed]:
    return [
        Placed(trial.number // N_IN_BLOCK, position, trial.state is State.FAILED)
        for trial in ended
        if (position := position_on(report, trial, index)) is not None
    ]


def _sides(axis: Axis) -> Sequence[int]:
    """The tests of an axis: of an option each, of a number one."""
    return range(len(axis.options)) if axis.kind is AxisKind.OPTIONS else (0,)


def _regions(axis: Axis, placed: Sequence[Placed], n_tests: int) -> Iterator[_Region]:
    for option in _sides(axis):
        is_options = axis.kind is AxisKind.OPTIONS
        tested = [
            Placed(each.block, float(each.position == option), each.is_failed) if is_options else each
            for each in placed
        ]
        z = rank_test(tested)
        p = min(1.0, n_tests * math.erfc(abs(z) / math.sqrt(2)))
        if p >= MAX_P or (is_options and z < 0):
            continue
        side = 0 if is_options else 1 if z > 0 else -1
        cut = float(option) if is_options else _cut(placed, side)
        yield _Region(axis, cut, side, p)


def _counted(region: _Region, placed: Sequence[Placed]) -> _Region:
    inside = [each for each in placed if _is_inside(each.position, region.cut, region.side)]
    n_failed, n_all_failed = (sum(each.is_failed for each in part) for part in (inside, placed))
    return replace(
        region,
        n_failed=n_failed,
        n=len(inside),
        n_failed_outside=n_all_failed - n_failed,
        n_outside=len(placed) - len(inside),
    )


def _cut(placed: Sequence[Placed], side: int) -> float:
    """The position that parts failed trials from others best, by the difference of their shares (Youden 1950)."""
    n_failed = sum(each.is_failed for each in placed)
    n_others = len(placed) - n_failed
    # From the end of the region inwards, each trial moves the cut beyond its position.
    ordered = sorted(placed, key=lambda each: -side * each.position)
    difference, best, cut = 0.0, -math.inf, ordered[0].position
    for each, following in pairwise(ordered):
        difference += 1 / n_failed if each.is_failed else -1 / n_others
        if following.position != each.position and difference > best:
            best, cut = difference, (each.position + following.position) / 2
    return cut


def _is_inside(position: float, cut: float, side: int) -> bool:
    return position == cut if side == 0 else position > cut if side > 0 else position < cut


def _where_text(region: _Region) -> str:
    value = value_text(region.axis, region.cut)
    word = {0: "is", 1: "is above", -1: "is below"}[region.side]
    return f"`{named(region.axis)}` {word} {value}"


def _condition(region: _Region) -> str:
    """Lines of the file that forbid the region; empty: a formula cannot hold the parameter's name."""
    axis = region.axis
    if region.side == 0:
        return f"search: {{forbid: [{{{axis.name}: {option_in_yaml(axis, round(region.cut))}}}]}}"
    branch = _BRANCH.fullmatch(axis.condition)
    path = axis.name.partition(" (")[0] if branch else axis.name
    if not _PLAIN_NAME.fullmatch(path):
        return ""
    value = value_at(axis, region.cut)
    limit = str(math.floor(value) if region.side > 0 else math.ceil(value))
    if axis.kind is AxisKind.NUMBER:
        limit = shown_number(value, 3)
    condition = f"{path} {'<=' if region.side > 0 else '>='} {limit}"
    if branch and path != axis.name:  # other branches have a parameter of that name, which may be as it is
        condition = f'{branch["parent"]} != "{branch["option"]}" or {condition}'
    return f"search: {{where: ['{condition}']}}"


def _mean_ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal values have the mean of their ranks."""
    ranks_of: dict[float, list[int]] = defaultdict(list)
    for rank, value in enumerate(sorted(values), start=1):
        ranks_of[value].append(rank)
    return [sum(ranks_of[value]) / len(ranks_of[value]) for value in values]
