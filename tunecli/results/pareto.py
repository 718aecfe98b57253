"""Which of several points are beaten by none, and how much each adds to what its front covers.

Points are tuples of losses, one for each goal, lower the better and all finite. Pure; knows neither trials nor metrics.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, ...]

_BEYOND = 0.1  # of a front's range lies the point that volumes are measured from beyond its worst


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other``, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_numbers(points: Sequence[Point]) -> list[int]:
    """The number of each point's front, from 1: those that none beats are the first; without them, the second; …

    Deb, Pratap, Agarwal, Meyarivan (2002), "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", section
    III-A; found as Zhang, Tian, Cheng, Jin (2015), "An Efficient Approach to Nondominated Sorting for Evolutionary
    Multiobjective Optimization": in lexicographic order nobody is beaten by who comes later, and each front is searched
    from its last member, by bisection over the fronts.
    """
    fronts: list[list[Point]] = []
    number_of: dict[Point, int] = {}
    for point in sorted(set(points)):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if any(dominates(member, point) for member in reversed(fronts[middle])):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(point)
        number_of[point] = low + 1
    return [number_of[point] for point in points]


def contributions(front: Sequence[Point]) -> list[float]:
    """The volume that only a point of a front covers, for each; equal points share it.

    Losses are scaled to the front's range, and volumes measured from a tenth of it beyond the worst (Ishibuchi, Imada,
    Setoguchi, Nojima (2018), "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance
    Comparison"), so that the ends of the front count, and count less than what is good in all goals. A point that is
    alone has 1.
    """
    distinct = sorted(set(front))
    if len(distinct) == 1:
        return [1.0] * len(front)
    ranges = [(min(values), max(values)) for values in zip(*distinct, strict=True)]
    scaled = [
        tuple(
            (value - low) / (high - low) if high > low else 0.0
            for value, (low, high) in zip(point, ranges, strict=True)
        )
        for point in distinct
    ]
    reference = (1.0 + _BEYOND,) * len(ranges)
    if len(ranges) == 2:  # each covers a rectangle between its neighbours
        ends = [(-_BEYOND, 1.0 + _BEYOND), *scaled, (1.0 + _BEYOND, -_BEYOND)]
        volumes = [
            (after[0] - own[0]) * (before[1] - own[1])
            for before, own, after in zip(ends, scaled, ends[2:], strict=False)
        ]
        found = dict(zip(distinct, volumes, strict=True))
        return [found[point] for point in front]
    share = {
        point: _own_volume(scaled[place], [*scaled[:place], *scaled[place + 1 :]], reference)
        for place, point in enumerate(distinct)
    }
    return [share[point] for point in front]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume of what the points beat, up to ``reference``.

    While, Bradstreet, Barone (2012), "A Fast Way of Calculating Exact Hypervolumes": each point's own volume beside
    those that follow it. Two goals are added up in their order.
    """
    inside = sorted({point for point in points if all(a < b for a, b in zip(point, reference, strict=True))})
    if len(reference) == 2:
        total, lowest = 0.0, reference[1]
        for first, second in inside:
            if second < lowest:
                total += (reference[0] - first) * (lowest - second)
                lowest = second
        return total
    return sum(_own_volume(point, inside[place + 1 :], reference) for place, point in enumerate(inside))


def _own_volume(point: Point, others: Sequence[Point], reference: Point) -> float:
    """What a point covers and none of the others does."""
    volume = 1.0
    for value, most in zip(point, reference, strict=True):
        volume *= most - value
    within: list[Point] = []
    for one in sorted({tuple(map(max, point, other)) for other in others}):
        if not any(dominates(other, one) for other in reversed(within)):
            within.append(one)
    return volume - hypervolume(within, reference)
