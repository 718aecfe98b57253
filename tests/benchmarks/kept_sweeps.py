"""Sweeps that a benchmark keeps in files, so that a slow peer runs once and every later table has it.

`sweep_files.py` describes the files.

The folder `peer_sweeps` has the peers' sweeps that belong to the code. A table takes from it what fits. To make them anew,
delete a method from a file and run the benchmark with ``--methods METHOD --json`` and that file: each sweep is written when
it ends, and another run goes on. Sweeps by other versions of a peer, or of our `search` package, are never mixed: such a
run asks for another file.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from tests.benchmarks.regrets import Floats, print_table
from tests.benchmarks.sweep_files import KeptSweep, Method, SweepFile, probe_of
from tunecli.config.space import Space
from tunecli.trial import Parameters

PEERS_FOLDER = Path(__file__).parent / "peer_sweeps"
_PACKAGES = {
    "optuna-gp": ("optuna", "torch", "scipy", "numpy"),
    "optuna": ("optuna", "numpy"),
    "skopt": ("scikit-optimize", "scikit-learn", "scipy", "numpy"),
    "hebo": ("HEBO", "gpytorch", "pymoo", "torch", "numpy"),
    "smac": ("smac", "ConfigSpace", "scikit-learn", "numpy"),
}
"""The packages that a peer's suggestions come from, by its name or the start of its name."""


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
        is_fresh: bool = False,
    ) -> None:
        """Read the files that ``options`` name (see `add_options`).

        Args:
            group: the name of the sweeps that a table may hold together.
            problems: by name, the space and the value of a point.
            options: the options of the command line.
            peers: the name of the peers' file in ``PEERS_FOLDER``.
            tolerance: of a value by which a problem is known again, as a fraction, or absolute below 1.
            is_fresh: whether sweeps without fresh trainings must run again.
        """
        self._is_fresh = is_fresh
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
            if sweep is not None and sweep.budget >= budget and (sweep.fresh or not self._is_fresh):
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

        def at(problem: str, sweep: KeptSweep, mark: int) -> float:
            found = sweep.best_within(mark)
            return regret(problem, found) if math.isfinite(found) else unfinished

        self._print(title, chosen, marks, problems_and_seeds, at)

    def print_fresh_table(
        self,
        title: str,
        chosen: Sequence[str],
        marks: Sequence[int],
        problems_and_seeds: tuple[Iterable[str], Iterable[int]],
        regret: Callable[[str, Sequence[float | None]], float],
    ) -> None:
        """Print the same table of the fresh trainings of each sweep's best trial, of the sweeps that have them.

        Args:
            title, chosen, marks, problems_and_seeds: as for :meth:`print_table`.
            regret: (problem, losses of fresh trainings) → regret. It is 1 before the first trial ended.
        """

        def at(problem: str, sweep: KeptSweep, mark: int) -> float:
            if not sweep.fresh:
                return math.nan
            losses = sweep.fresh_within(mark)
            return regret(problem, losses) if losses else 1.0

        self._print(title, chosen, marks, problems_and_seeds, at)

    def _print(
        self,
        title: str,
        chosen: Sequence[str],
        marks: Sequence[int],
        problems_and_seeds: tuple[Iterable[str], Iterable[int]],
        at: Callable[[str, KeptSweep, int], float],
    ) -> None:
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
                    row = [math.nan if mark > sweep.budget else at(problem, sweep, mark) for mark in marks]
                    if not all(map(math.isnan, row)):
                        rows[problem, seed] = np.array(row)
                        took.append(sweep.seconds)
            if rows:
                regrets[name], seconds[name] = rows, float(np.mean(took))
        if regrets:
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


def _sweep(methods: Mapping[str, Method], method: str, problem: str, seed: int) -> KeptSweep | None:
    return methods[method].sweeps.get(problem, {}).get(str(seed)) if method in methods else None
