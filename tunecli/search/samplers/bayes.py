"""Bayesian optimisation, one suggestion on one page: recorded trials → posterior → acquisition → optimiser → point.

Each step is a module of :mod:`tunecli.search.bo`: `outcome_transforms` combines several objectives, `posterior` fits
the surrogate and the feasibility models, `acquisition` scores a prediction, `user_prior` adds the user's prior, and
`acquisition_optimizer` finds the best point. A suggestion starts from the record alone, with random numbers that are
named by seed and trial number (record-is-the-state, seeds-by-name).

Axes: M candidates, N training trials, T all trials on record, F columns of the encoding, D parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.search.bo.acquisition import ACQUISITIONS, Portfolio, has_stalled
from tunecli.search.bo.acquisition_optimizer import (
    exclude_repeats,
    feasibility_of,
    is_large_model,
    ranked_candidates,
    to_points,
)
from tunecli.search.bo.batches import has_many_pending, in_batches, streams_of
from tunecli.search.bo.earlier_studies import best_earlier_points, n_from_earlier
from tunecli.search.bo.encoding import Floats, features
from tunecli.search.bo.initial_design import first_with_defaults, initial_draws
from tunecli.search.bo.option_floor import look_instead, owed_look
from tunecli.search.bo.outcome_transforms import scalarize
from tunecli.search.bo.posterior import can_fit, deterministic_blas, fit_posterior, trial_data
from tunecli.search.bo.surrogate import SURROGATES, SurrogateKind
from tunecli.search.bo.transfer import has_weight, informed
from tunecli.search.bo.user_prior import PriorEvidence, evidence_on_priors, log_user_prior
from tunecli.search.draws import propose
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

_FIRST_INFORMED = 4  # fewer trials can hardly tell a related study from an unrelated one
_N_WITH_PRIORS = 5  # initial trials in a space with priors, as long as the results do not contradict them
_FIRST_COMPARED = 2  # in a space with priors: trial 2 steps along the rate by the results of trials 0 and 1


def bayes(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    *,
    surrogate: str = "gp",
    acquisition: str = "mixed",
    n_trials: int | None = None,
) -> Parameters | None:
    """Return the point with the highest acquisition. None if a finite space is exhausted.

    The first trial has the defaults and the usual values of other settings, or else is the most likely point; with
    earlier studies, the first two are their best points. The next trials are quasi-random or drawn from the priors
    (`initial_design`): at least until there are :func:`n_unmodelled` trials and two different losses are known. In a
    space with more parameters than a Sobol sequence has dimensions, there is no model, and every later trial is
    uniformly random. See :class:`tunecli.search.protocols.Sampler`.

    Args:
        space, history, number, seed: as for every sampler.
        surrogate: the kind of model; a key of ``SURROGATES``.
        acquisition: a key of ``ACQUISITIONS``.
        n_trials: the study's total; None: unknown.

    Raises:
        UsageError: there is no such surrogate or acquisition.
    """
    kind, portfolio = SURROGATES.get(surrogate), ACQUISITIONS.get(acquisition)
    if kind is None:
        raise UsageError(f"there is no surrogate `{surrogate}`", hint=f"one of {', '.join(SURROGATES)}")
    if portfolio is None:
        raise UsageError(f"there is no acquisition `{acquisition}`", hint=f"one of {', '.join(ACQUISITIONS)}")
    known = in_batches(scalarize(history, number, seed))
    evidence = evidence_on_priors(space, known)
    n_first = n_unmodelled(space, evidence, n_trials)
    if _is_modelled(space, known, number, seed, n_first):
        settings = ModelSettings(kind, portfolio, n_first)
        draws = model_draws(space, known, number, seed, settings, evidence)
    else:
        draws = _first_draws(space, known, number, seed, evidence)
    firsts = first_with_defaults(space) if number == 0 else ()
    return propose(space, history, number, seed, chain(firsts, draws), is_default_first=not firsts)


def n_initial(space: Space, n_trials: int | None = None) -> int:
    """Return the number of trials before the model is used: D + 1 up to 10 for D parameters, then D - 2 up to 16.

    In a space with priors they are at most five, since the priors say which regions are good. They are at most half of
    a study's trials. With fewer initial trials the model finds good points earlier, but more of the longer studies stay
    in a bad region. On the LCBench surrogate (`tests/benchmarks/lcbench.py`, 7 parameters, 84 sweeps, no priors) the
    regret after 10 trials is 0.42 with 10 initial trials, 0.29 with 8 and 0.21 with 5; after 25 it is 0.062, 0.072 and
    0.083, with standard errors of 0.013.

    Args:
        space: the space of the trials.
        n_trials: the study's total; None: unknown, and large.
    """
    n_usual = n_initial_without_priors(space, n_trials)
    return min(n_usual, _N_WITH_PRIORS) if any(parameter.prior for parameter in space.parameters) else n_usual


def n_initial_without_priors(space: Space, n_trials: int | None = None) -> int:
    """Return the number of trials that :func:`n_initial` would return if the space had no priors."""
    n_parameters = len(space.parameters)
    n_usual = max(min(max(n_parameters + 1, 4), 10), min(n_parameters - 2, 16))
    return n_usual if n_trials is None else min(n_usual, max(n_trials // 2, 3))


def n_before_results(space: Space, n_trials: int | None = None) -> int:
    """Return how many of the first trials are the same for any results; arguments as for :func:`n_initial`."""
    n_first = n_initial(space, n_trials)
    if space.earlier:
        n_first = min(n_first, _FIRST_INFORMED)
    return (
        min(n_first, _FIRST_COMPARED) if any(parameter.prior for parameter in space.parameters) else n_first
    )


def n_unmodelled(space: Space, evidence: PriorEvidence, n_trials: int | None = None) -> int:
    """Return :func:`n_initial`, or :func:`n_initial_without_priors` if the results contradict the priors."""
    if evidence.contradicts_settings:
        return n_initial_without_priors(space, n_trials)
    return n_initial(space, n_trials)


def _is_modelled(space: Space, known: Sequence[Observation], number: int, seed: int, n_first: int) -> bool:
    """Return whether the model proposes trial ``number``: from ``n_first`` on, if it can be fitted.

    If earlier studies inform the model, it proposes every second trial before, from ``_FIRST_INFORMED`` on.
    """
    if number >= n_first or not can_fit(space, known):
        return can_fit(space, known)
    if not space.earlier or number < _FIRST_INFORMED or number % 2:
        return False
    with deterministic_blas():
        return has_weight(space, trial_data(space, known), generator_for(seed, number, "surrogate"))


def _first_draws(
    space: Space, known: Sequence[Observation], number: int, seed: int, evidence: PriorEvidence
) -> Iterator[Parameters]:
    """Yield the best points of earlier studies for the first trials, then the points of the initial design."""
    n_earlier = 0
    if space.earlier:
        with deterministic_blas():
            n_earlier, points = n_from_earlier(space), best_earlier_points(space)
        if number < n_earlier:
            yield from points
    yield from initial_draws(space, known, max(number - n_earlier, 0), seed, evidence)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The settings of the model's suggestions; everything else comes from the trials.

    Attributes:
        kind: the surrogate.
        portfolio: the acquisitions that trials use in turn.
        n_initial: number of trials that no model chose.
    """

    kind: SurrogateKind
    portfolio: Portfolio
    n_initial: int


def model_draws(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    settings: ModelSettings,
    evidence: PriorEvidence,
) -> Iterator[Parameters]:
    """Yield points for trial ``number``, the one with the highest acquisition first.

    Args:
        space: the space of the points.
        history: every earlier trial, by number, with one loss each; ``can_fit`` is true for it.
        number: the trial's number.
        seed: the study's seed.
        settings: of the model.
        evidence: of the results, for or against the user's priors.
    """
    n_initial = settings.n_initial
    with deterministic_blas():
        data = trial_data(space, history)
        # Scalarized losses change with each trial's weights, so they do not measure progress.
        is_scalarized = any(trial.losses for trial in history)
        progress_N = data.feasible_values_N[:0] if is_scalarized else data.feasible_values_N
        is_stalled = has_stalled(progress_N, n_initial)
        acquisition = settings.portfolio.at(number, is_stalled=is_stalled)
        streams = streams_of(history, number, seed)
        fit = informed(settings.kind.conservative, space, data.encoding)
        posterior = fit_posterior(data, fit, streams, include_pending=True)
        log_prior = log_user_prior(space, number, evidence)

        def score(units_MD: Floats) -> Floats:
            rows_MF = features(data.encoding, units_MD)
            scores_M = posterior.score(rows_MF, acquisition) + log_prior(units_MD)
            return exclude_repeats(scores_M, rows_MF, data.tried_TF)

        is_feasible = feasibility_of(space)
        look = owed_look(data, number, seed, is_feasible, n_initial=n_initial, is_stalled=is_stalled)
        if look is None:
            ranked_MD = ranked_candidates(
                data.encoding,
                score,
                data.best_ND,
                generator_for(seed, number, "candidates"),
                is_large=is_large_model(data.tried_TF if has_many_pending(history) else data.rows_NF),
                is_feasible=is_feasible,
            )
            if len(ranked_MD):
                look = look_instead(
                    data,
                    ranked_MD[0],
                    number,
                    seed,
                    is_feasible,
                    n_initial=n_initial,
                    is_stalled=is_stalled,
                )
        if look is not None:
            ranked_MD = look.ranked(posterior, data)
    yield from to_points(space, ranked_MD)
