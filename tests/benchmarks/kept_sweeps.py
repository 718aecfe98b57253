"""Sweeps that a benchmark keeps in files, so that a slow peer runs once and every later table has it.

A file has groups of sweeps that a table may hold together (`loguniform trials`), and a group has the declaration of each
problem's space and its values at two fixed points, by which another run knows that it has the same problem. Of a sweep it
has the lowest value so far at each trial that improved on it: `[[1, 0.9], [4, 0.5]]`. Values have 6 digits.

The folder `peer_sweeps` has the peers' sweeps that belong to the code. A table takes from it what fits. To make them anew,
delete a method from a file and run the benchmark with ``--methods METHOD --json`` and that file: each sweep is written when
it ends, and another run goes on. Sweeps by other versions of a peer, or of our `search` package, are never mixed: such a
run asks for another file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.regrets import Floats, print_table
from tunecli.config.domains import Categorical, Integer, Real
from tunecli.config.space import Space, point_of_units
from tunecli.trial import Parameters

PEERS_FOLDER = Path(__file__).parent / "peer_sweeps"
_N_PROBES = 2  # values by which a problem is known again
_PACKAGES = {
    "optuna-gp": ("optuna", "torch", "scipy", "numpy"),
    "optuna": ("optuna", "numpy"),
    "skopt": ("scikit-optimize", "scikit-learn", "scipy", "numpy"),
    "hebo": ("HEBO", "gpytorch", "pymoo", "torch", "numpy"),
    "smac": ("smac", "ConfigSpace", "scikit-learn", "numpy"),
}
"""The packages that a peer's suggestions come from, by its name or the start of its name."""


@dataclass(frozen=True)
class KeptSweep:
    """What is kept of a sweep.

    Attributes:
        budget: what it was allowed to spend: trials or epochs.
        best: (spent until then, lowest value so far) at each improvement.
        seconds: the mean time of a suggestion, of a processor.
        share: the share of trials with the best option, in benchmarks of choices.
    """

    budget: int
    best: tuple[tuple[float, float], ...]
    seconds: float
    share: float | None = None

    @staticmethod
    def of(
        budget: int, ends: Iterable[tuple[float, float]], seconds: Sequence[float], share: float | None = None
    ) -> KeptSweep:
        """Keep a sweep whose trials ended after ``ends`` = (spent, value); an infinite value is a failed trial."""
        best, lowest = [], math.inf
        for spent, value in ends:
            if value < lowest:
                lowest = value
                best.append((int(spent) if spent == int(spent) else _rounded(spent), _rounded(value)))
        return KeptSweep(budget, tuple(best), float(f"{np.mean(seconds):.3g}"), share)

    def best_within(self, mark: float) -> float:
        """The lowest value of the trials that ended within ``mark``; infinite if no trial did."""
        return min((value for spent, value in self.best if spent <= mark + 1e-6), default=math.inf)


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


class KeptSweeps:
    """The sweeps of one table: those of the run, of its file, of further files and of the peers' folder."""

    def __init__(
        self,
        group: str,
        problems: Mapping[str, tuple[Space, Callable[[Parameters], float | None]]],
        options: argparse.Namespace,
        *,
        peers: str,
        tolerance: float = 1e-4,
    ) -> None:
        """Read the files that ``options`` name (see `add_options`).

        Args:
            group: the name of the sweeps that a table may hold together.
            problems: by name, the space and the value of a point.
            options: the options of the command line.
            peers: the name of the peers' file in ``PEERS_FOLDER``.
            tolerance: of a value by which a problem is known again, as a fraction, or absolute below 1.
        """
        self._probes = {name: probe_of(*problem) for name, problem in problems.items()}
        self._tolerance = tolerance
        peers_path = PEERS_FOLDER / f"{peers}.json"
        has_peers = not options.no_peers and peers_path.exists()
        self._own = SweepFile(options.json, group) if options.json else None
        self._run: dict[str, Method] = {}
        self._peers = {} if not has_peers else self._fitting(SweepFile(peers_path, group))
        self._joined = [(path.stem, self._fitting(SweepFile(path, group))) for path in options.join]
        if self._own:
            if self._changed(self._own):
                raise SystemExit(f"{self._own.path} has other problems of these names: use another file")
            self._run = self._own.methods
            self._own.probes |= self._probes

    def known(self, method: str, problem: str, seed: int, budget: int) -> bool:
        """Whether a sweep need not run.

        Raises:
            SystemExit: it would have to, but the other sweeps of the method are by other versions.
        """
        for methods in (self._run, self._peers):
            sweep = _sweep(methods, method, problem, seed)
            if sweep is not None and sweep.budget >= budget:
                return True
        for methods, way_out in ((self._run, "use another file"), (self._peers, "use --no-peers")):
            made_by = methods[method].versions if method in methods else ""
            present = versions_of(method)
            if present and made_by not in ("", present):
                raise SystemExit(f"{method}: kept sweeps are by {made_by}, not {present}; {way_out}")
        return False

    def add(self, method: str, problem: str, seed: int, sweep: KeptSweep) -> None:
        """Add a sweep, and write the file of the run."""
        made = self._run.setdefault(method, Method(versions_of(method)))
        made.sweeps.setdefault(problem, {})[str(seed)] = sweep
        if self._own:
            self._own.write()

    def all_methods(self, chosen: Sequence[str]) -> dict[str, Method]:
        """The methods of the table: the chosen ones, then those of further files and of the peers' folder.

        A method of a further file that is also among the chosen ones has the name of the file in brackets.
        """
        methods = {name: merged for name in chosen if (merged := self._merged(name)).sweeps}
        for stem, joined in self._joined:
            for name, method in joined.items():
                methods[f"{name} ({stem})" if name in methods else name] = method
        for name in self._peers:
            if name not in methods:
                methods[name] = self._merged(name)
        return methods

    def print_table(
        self,
        title: str,
        chosen: Sequence[str],
        marks: Sequence[int],
        problems_and_seeds: tuple[Iterable[str], Iterable[int]],
        *,
        regret: Callable[[str, float], float] = lambda _, value: value,
        unfinished: float = math.inf,
    ) -> None:
        """Print the table of `regrets.print_table`.

        Args:
            title: what the values are, and after what the marks are.
            chosen: the methods of the run.
            marks: where to compare.
            problems_and_seeds: the rows of the table.
            regret: (problem, value) → regret.
            unfinished: the regret of a sweep before its first trial ended.
        """
        problems, seeds = (list(names) for names in problems_and_seeds)
        regrets: dict[str, dict[tuple[str, str], Floats]] = {}
        seconds = {}
        for name, method in self.all_methods(chosen).items():
            rows, took = {}, []
            for problem in problems:
                for seed in map(str, seeds):
                    sweep = method.sweeps.get(problem, {}).get(seed)
                    if sweep is None or sweep.budget < marks[0]:
                        continue
                    found = [sweep.best_within(mark) for mark in marks]
                    rows[problem, seed] = np.array(
                        [
                            math.nan
                            if mark > sweep.budget
                            else (regret(problem, value) if math.isfinite(value) else unfinished)
                            for mark, value in zip(marks, found, strict=True)
                        ]
                    )
                    took.append(sweep.seconds)
            if rows:
                regrets[name], seconds[name] = rows, float(np.mean(took))
        print_table(title, regrets, marks, seconds)

    def _merged(self, name: str) -> Method:
        """A method's sweeps of the run, completed by those of the peers' folder by the same versions."""
        run, kept = self._run.get(name), self._peers.get(name)
        if run is None or kept is None or (run is not None and run.versions != kept.versions):
            return run or kept or Method("")
        merged = Method(run.versions, {problem: dict(of) for problem, of in kept.sweeps.items()})
        for problem, of_problem in run.sweeps.items():
            merged.sweeps.setdefault(problem, {}).update(of_problem)
        return merged

    def _fitting(self, file: SweepFile) -> dict[str, Method]:
        """The sweeps of a file on the problems of this run that are still the same."""
        changed = self._changed(file)
        if changed:
            print(
                f"{file.path.name}: {', '.join(sorted(changed))} changed: its sweeps are left out",
                file=sys.stderr,
            )
        return {
            name: Method(method.versions, {p: of for p, of in method.sweeps.items() if p not in changed})
            for name, method in file.methods.items()
        }

    def _changed(self, file: SweepFile) -> set[str]:
        return {
            name
            for name, probe in self._probes.items()
            if name in file.probes and not probe.fits(file.probes[name], self._tolerance)
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the files of sweeps."""
    parser.add_argument(
        "--json", type=Path, help="the file of the run's sweeps: read, and written after each"
    )
    parser.add_argument(
        "--join", type=Path, nargs="*", default=[], help="files of other runs to show as well"
    )
    parser.add_argument("--no-peers", action="store_true", help="show no kept sweeps of peers, run them anew")


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


def versions_of(method: str) -> str:
    """The versions that a method's suggestions depend on; empty if its packages are not installed."""
    names = _PACKAGES.get(method) or _PACKAGES.get(method.split("-")[0])
    if names is None:
        return f"tunecli/search {_search_digest()}"
    try:
        return ", ".join(f"{name} {version(name)}" for name in names)
    except PackageNotFoundError:
        return ""


def _search_digest() -> str:
    """What the sources of our samplers are known by."""
    folder = Path(__file__).parents[2] / "tunecli"
    digest = hashlib.sha256()
    for room in ("search", "config/priors"):
        for path in sorted((folder / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _range(domain: Any) -> str:
    match domain:
        case Categorical(options=options):
            return str(list(options))
        case Integer() | Real():
            kind = "int" if isinstance(domain, Integer) else "real"
            return f"{'log ' * domain.is_log}{kind} {domain.low:g} to {domain.high:g}"
        case _:
            return str(domain)


def _sweep(methods: Mapping[str, Method], method: str, problem: str, seed: int) -> KeptSweep | None:
    return methods[method].sweeps.get(problem, {}).get(str(seed)) if method in methods else None


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _entry_of(sweep: KeptSweep) -> dict[str, Any]:
    entry = {"budget": sweep.budget, "s": sweep.seconds, "best": [list(step) for step in sweep.best]}
    return entry if sweep.share is None else {**entry, "share": sweep.share}


def _sweep_of(entry: Mapping[str, Any]) -> KeptSweep:
    best = tuple((spent, value) for spent, value in entry["best"])
    return KeptSweep(entry["budget"], best, entry["s"], entry.get("share"))


def _text(value: Any, depth: int = 0) -> str:
    """JSON whose deepest lines are the sweeps of one problem."""
    if depth == 5 or not isinstance(value, dict) or not value:
        return json.dumps(value, separators=(",", ":"))
    pad = "\n" + " " * (depth + 1)
    lines = (f"{json.dumps(name)}: {_text(inner, depth + 1)}" for name, inner in value.items())
    return "{" + pad + ("," + pad).join(lines) + "\n" + " " * depth + "}"
