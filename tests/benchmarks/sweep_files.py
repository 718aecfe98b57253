"""The files of kept sweeps: what they have of a sweep, and how a problem is known again.

A file has groups of sweeps that a table may hold together (`loguniform trials`), and a group has the declaration of each
problem's space and its values at two fixed points, by which another run knows that it has the same problem. Of a sweep it
has the lowest value so far at each trial that improved on it: `[[1, 0.9], [4, 0.5]]`, and in benchmarks that train, the
losses of fresh trainings of each of these trials. Values have 6 digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.config.domains import Categorical, Integer, Real
from tunecli.config.space import Space, point_of_units
from tunecli.trial import Parameters

_N_PROBES = 2  # values by which a problem is known again
_TINY = 1e-6  # of rounding, in what a sweep spent


@dataclass(frozen=True)
class KeptSweep:
    """What is kept of a sweep.

    Attributes:
        budget: what it was allowed to spend: trials or epochs.
        best: (spent until then, lowest value so far) at each improvement.
        seconds: the mean time of a suggestion, of a processor.
        share: the share of trials with the best option, in benchmarks of choices.
        fresh: for each entry of ``best`` the losses of fresh trainings of that trial, in benchmarks that train; None:
            a training fails.
    """

    budget: int
    best: tuple[tuple[float, float], ...]
    seconds: float
    share: float | None = None
    fresh: tuple[tuple[float | None, ...], ...] = ()

    @staticmethod
    def of(
        budget: int,
        ends: Iterable[tuple[float, float]],
        seconds: Sequence[float],
        share: float | None = None,
        fresh_of: Callable[[float], Sequence[float | None]] | None = None,
    ) -> KeptSweep:
        """Keep a sweep whose trials ended after ``ends`` = (spent, value); an infinite value is a failed trial.

        ``fresh_of`` trains the trial that ended with a value again, and returns the losses.
        """
        best, fresh, lowest = list[tuple[float, float]](), list[tuple[float | None, ...]](), math.inf
        for spent, value in ends:
            if value < lowest:
                lowest = value
                best.append((int(spent) if spent == int(spent) else _rounded(spent), _rounded(value)))
                if fresh_of is not None:
                    fresh.append(tuple(None if loss is None else _rounded(loss) for loss in fresh_of(value)))
        return KeptSweep(budget, tuple(best), float(f"{np.mean(seconds):.3g}"), share, tuple(fresh))

    def best_within(self, mark: float) -> float:
        """The lowest value of the trials that ended within ``mark``; infinite if no trial did."""
        return min((value for spent, value in self.best if spent <= mark + _TINY), default=math.inf)

    def fresh_within(self, mark: float) -> tuple[float | None, ...]:
        """The losses of the fresh trainings of the best trial within ``mark``; empty if no trial ended by then."""
        pairs = zip(self.best, self.fresh, strict=True)
        return next((losses for (spent, _), losses in reversed(list(pairs)) if spent <= mark + _TINY), ())


@dataclass
class Method:
    """The sweeps of a method, by problem and seed, and the versions that made them."""

    versions: str
    sweeps: dict[str, dict[str, KeptSweep]] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A problem as a file knows it: its space, and its values at fixed points; None: the trial fails."""

    space: str
    values: tuple[float | None, ...]

    def fits(self, other: Probe, tolerance: float) -> bool:
        """Whether both are of one problem."""
        if self.space != other.space or len(self.values) != len(other.values):
            return False
        return all(
            a == b or (a is not None and b is not None and abs(a - b) <= tolerance * max(1.0, abs(a)))
            for a, b in zip(self.values, other.values, strict=True)
        )


class SweepFile:
    """One group of a file; other groups of the file are kept as they are."""

    def __init__(self, path: Path, group: str) -> None:
        """Read the file if it exists."""
        self.path, self._group = path, group
        self._content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        known = self._content.get(group, {})
        self.probes = {
            name: Probe(probe["space"], tuple(probe["values"]))
            for name, probe in known.get("problems", {}).items()
        }
        self.methods = {
            name: Method(
                method["versions"],
                {
                    problem: {seed: _sweep_of(entry) for seed, entry in of_problem.items()}
                    for problem, of_problem in method["sweeps"].items()
                },
            )
            for name, method in known.get("methods", {}).items()
        }

    def write(self) -> None:
        """Replace the file."""
        self._content[self._group] = {
            "problems": {
                name: {"space": probe.space, "values": list(probe.values)}
                for name, probe in self.probes.items()
            },
            "methods": {
                name: {
                    "versions": method.versions,
                    "sweeps": {
                        problem: {seed: _entry_of(sweep) for seed, sweep in sorted(of_problem.items())}
                        for problem, of_problem in sorted(method.sweeps.items())
                    },
                }
                for name, method in sorted(self.methods.items())
            },
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        temporary.write_text(_text(self._content) + "\n")
        temporary.replace(self.path)


def probe_of(space: Space, value: Callable[[Parameters], float | None]) -> Probe:
    """What a problem is known by: its space, and its values at fixed points."""
    generator = np.random.default_rng(0)
    points = [
        point_of_units(space, generator.random(len(space.parameters)).tolist()) for _ in range(_N_PROBES)
    ]
    values = (value(point) for point in points)
    return Probe(declaration(space), tuple(None if v is None else _rounded(v) for v in values))


def declaration(space: Space) -> str:
    """The ranges of a space, in one line."""
    return "; ".join(f"{parameter.key} {_range(parameter.domain)}" for parameter in space.parameters)


def _range(domain: Any) -> str:
    match domain:
        case Categorical(options=options):
            return str(list(options))
        case Integer() | Real():
            kind = "int" if isinstance(domain, Integer) else "real"
            return f"{'log ' * domain.is_log}{kind} {domain.low:g} to {domain.high:g}"
        case _:
            return str(domain)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _entry_of(sweep: KeptSweep) -> dict[str, Any]:
    entry: dict[str, Any] = {"budget": sweep.budget, "s": sweep.seconds, "best": sweep.best}
    if sweep.share is not None:
        entry["share"] = sweep.share
    return {**entry, "fresh": sweep.fresh} if sweep.fresh else entry


def _sweep_of(entry: Mapping[str, Any]) -> KeptSweep:
    best = tuple((spent, value) for spent, value in entry["best"])
    fresh = tuple(tuple(losses) for losses in entry.get("fresh", ()))
    return KeptSweep(entry["budget"], best, entry["s"], entry.get("share"), fresh)


def _text(value: Any, depth: int = 0) -> str:
    """JSON whose deepest lines are the sweeps of one problem."""
    if depth == 5 or not isinstance(value, dict) or not value:
        return json.dumps(value, separators=(",", ":"))
    pad = "\n" + " " * (depth + 1)
    lines = (f"{json.dumps(name)}: {_text(inner, depth + 1)}" for name, inner in value.items())
    return "{" + pad + ("," + pad).join(lines) + "\n" + " " * depth + "}"
