"""The registry of samplers, with their settings. `tunecli.search.samplers` contains the implementations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from tunecli.knob import NamedKnob, Values
from tunecli.registry import plugins
from tunecli.registry.implementations import implementation, require_package
from tunecli.registry.packages import install_command

AUTO = "auto"
"""The value of ``search.sampler`` with which tunecli chooses a sampler when a study begins."""
AUTO_SUMMARY = "Chosen when the study begins, by its space, trials and limits; in most studies `bayes`."
FALLBACK = "bayes"
"""The sampler of ``auto`` without a choice: in checks of a file, and in studies of an earlier version."""


@dataclass(frozen=True)
class SamplerInfo:
    """The registry entry of a sampler: its implementation, settings and capabilities.

    Attributes:
        name: the value of ``search.sampler``.
        implementation: ``module:attribute`` of the function; see :class:`tunecli.search.protocols.Sampler`.
        settings: the model of its settings in the file; the fields are keyword arguments of the function. None: it has
            no settings.
        package: the top-level package that only this sampler needs; may be empty.
        extra: the extra of tunecli that installs ``package``; may be empty.
        reads_results: whether a suggestion depends on the results of other trials.
        n_initial: how many trials are suggested before the first one that a model of the results chooses: a number, or
            ``module:attribute`` of a function of the space, and of the study's total if ``uses_total``. Unused if
            ``reads_results`` is False.
        n_before_results: how many of these are the same for any results, in the same form; empty: all of them.
        handles_constraints: whether ``objective.subject_to`` may be given.
        handles_several_goals: whether ``objective.pareto`` may be given.
        needs_grid: whether every parameter must have a finite number of values. The default number of trials is then
            the number of points of the grid.
        expected_improvement: ``module:attribute`` of a function of (space, history, number, seed) and of the settings
            as keywords, which returns the expected improvement of trial ``number`` in units of the loss, or None.
            Empty: ``search.stop.improvement`` does not work with the sampler.
        notes: ``module:attribute`` of a function of the space that returns notes for `check`; may be empty.
        uses_priors: whether it reads `Parameter.prior`, where good values usually lie (``search.priors``).
        uses_total: whether the function takes the study's total, or None, as the keyword ``n_trials``.
        reads_earlier: whether it learns from the trials of earlier studies, ``Space.earlier``; else `search.from` may
            not be given.
        draws: what a suggestion that uses no results is, in a word for displays.
        summary: a sentence for editors and the reference; empty: that of ``settings``.
    """

    name: str
    implementation: str
    settings: type[NamedKnob] | None = None
    package: str = ""
    extra: str = ""
    reads_results: bool = True
    n_initial: int | str = 1
    n_before_results: int | str = ""
    handles_constraints: bool = True
    handles_several_goals: bool = True
    needs_grid: bool = False
    expected_improvement: str = ""
    notes: str = ""
    uses_priors: bool = False
    uses_total: bool = False
    reads_earlier: bool = False
    draws: str = "random"
    summary: str = ""


class Bayes(NamedKnob):
    """Bayesian optimisation: fit a model to the results so far, and propose the point that it rates most promising.

    Attributes:
        surrogate: the model: a Gaussian process (`gp`), or scikit-optimize's forests.
        acquisition: the rating of a point by the model: expected improvement (`ei`), probability of improvement (`pi`),
            a lower confidence bound (`lcb`), or ei and lcb in turn (`mixed`), which also looks for a large improvement
            once the search stalls.
    """

    name: Literal["bayes"] = "bayes"
    surrogate: Annotated[
        Literal["gp", "extra_trees", "random_forest"],
        Values(
            {
                "gp": "A Gaussian process.",
                "extra_trees": "Extremely randomised trees, of scikit-optimize.",
                "random_forest": "A random forest, of scikit-optimize.",
            }
        ),
    ] = "gp"
    acquisition: Annotated[
        Literal["mixed", "ei", "lcb", "pi"],
        Values(
            {
                "mixed": "`ei` and `lcb` in turn, and a large improvement once the search stalls.",
                "ei": "Expected improvement.",
                "lcb": "A lower confidence bound.",
                "pi": "Probability of improvement.",
            }
        ),
    ] = "mixed"


SAMPLERS: Mapping[str, SamplerInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            SamplerInfo(
                "grid",
                "tunecli.search.samplers.grid:grid",
                reads_results=False,
                needs_grid=True,
                draws="grid",
                summary="Each point of the grid once, in the order of the file.",
            ),
            SamplerInfo(
                "random",
                "tunecli.search.samplers.random:random",
                reads_results=False,
                summary="Independent random points.",
            ),
            SamplerInfo(
                "quasirandom",
                "tunecli.search.samplers.random:quasirandom",
                reads_results=False,
                draws="quasi-random",
                summary="Points that cover the space more evenly than random ones (Sobol).",
            ),
            SamplerInfo(
                "bayes",
                "tunecli.search.samplers.bayes:bayes",
                settings=Bayes,
                n_initial="tunecli.search.samplers.bayes:n_initial",
                n_before_results="tunecli.search.samplers.bayes:n_before_results",
                expected_improvement="tunecli.search.prediction:expected_improvement",
                uses_priors=True,
                uses_total=True,
                reads_earlier=True,
                draws="quasi-random",
            ),
            SamplerInfo(
                "tpe",
                "tunecli.search.samplers.third_party:tpe",
                package="optuna",
                extra="optuna",
                summary="Optuna's tree-structured Parzen estimator.",
            ),
            SamplerInfo(
                "cmaes",
                "tunecli.search.samplers.third_party:cmaes",
                package="cmaes",
                extra="optuna",
                handles_constraints=False,
                handles_several_goals=False,
                notes="tunecli.search.samplers.third_party:cmaes_notes",
                summary="An evolution strategy for numbers, CMA-ES.",
            ),
        )
    }
)
"""The built-in samplers by name."""


def sampler_info(name: str) -> SamplerInfo:
    """Return the registry entry of a sampler.

    Raises:
        UsageError: there is no such sampler, or it belongs to a plug-in that cannot be used.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    info: SamplerInfo = plugins.require("samplers", name, SamplerInfo, SAMPLERS)
    return info


def n_initial_of(name: str, space: Any, n_trials: int) -> int:
    """Return how many of the first trials no model of the results chooses: all of them if a sampler reads no results.

    Args:
        name: a sampler of the registry.
        space: the :class:`tunecli.config.space.Space` of the trials.
        n_trials: the study's total.
    """
    info = sampler_info(name)
    return _n_first(info, info.n_initial, space, n_trials)


def n_before_results_of(name: str, space: Any, n_trials: int) -> int:
    """Return how many of the first trials are the same for any results; the arguments are those of `n_initial_of`."""
    info = sampler_info(name)
    return _n_first(info, info.n_before_results or info.n_initial, space, n_trials)


def _n_first(info: SamplerInfo, number: int | str, space: Any, n_trials: int) -> int:
    if not info.reads_results:
        return n_trials
    if isinstance(number, int):
        return number
    number_of = implementation(number)
    return int(number_of(space, n_trials) if info.uses_total else number_of(space))


def require_sampler(name: str) -> None:
    """Make sure that the package that a sampler needs is installed, without importing it.

    Raises:
        UsageError: there is no such sampler, or its package is not installed.
    """
    info = sampler_info(name)
    require_package(f"the sampler `{name}`", info.package, info.extra, "the sampler bayes")


def installation_note(name: str) -> str:
    """Return how to install what a built-in sampler needs, for example ``needs `pip install …```; empty: nothing."""
    info = SAMPLERS[name]
    return f"needs `{install_command(info.package, info.extra)}`" if info.package else ""
