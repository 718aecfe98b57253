"""Bayesian search: the point that a model of the trials so far holds to be worth most.

Every suggestion starts from the record alone, with random numbers named by seed and trial number (law 1). What the
trials make believe is `belief`'s part, what a point is worth `acquisition`'s, the way to the best one `candidates`'.
Of several goals each trial weighs the losses in its own way (`several`).

Axes: M candidates, D parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from tunecli.config.space import Space, point_of_units
from tunecli.errors import UsageError
from tunecli.search.bo.acquisition import ACQUISITIONS, Portfolio
from tunecli.search.bo.acquisition_optimizer import ranked_candidates, wishes
from tunecli.search.bo.posterior import believed, evidence_of, is_telling, steady_arithmetic
from tunecli.search.bo.scalarization import with_one_loss
from tunecli.search.bo.surrogate import SURROGATES, Kind
from tunecli.search.bo.user_prior import log_expectation
from tunecli.search.samplers.dedup import propose
from tunecli.search.samplers.quasirandom import sobol_draws
from tunecli.search.samplers.random import uniform_draws
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters


def bayes(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    *,
    surrogate: str = "gp",
    acquisition: str = "mixed",
) -> Parameters | None:
    """The most promising point; None where a finite space is exhausted.

    The first trial is the default or else the middle of the space, and the next, up to :func:`n_initial` and until
    two different losses are known, are quasi-random ones. So is every trial of a space with more parameters than a
    Sobol sequence has dimensions. See :class:`tunecli.search.samplers.registry.Sampler`.

    Args:
        space, history, number, seed: as for every sampler.
        surrogate: the kind of model; one of ``SURROGATES``.
        acquisition: what a point is worth; one of ``ACQUISITIONS``.

    Raises:
        UsageError: there is no such surrogate or acquisition.
    """
    kind, portfolio = SURROGATES.get(surrogate), ACQUISITIONS.get(acquisition)
    if kind is None:
        raise UsageError(f"there is no surrogate `{surrogate}`", hint=f"one of {', '.join(SURROGATES)}")
    if portfolio is None:
        raise UsageError(f"there is no acquisition `{acquisition}`", hint=f"one of {', '.join(ACQUISITIONS)}")
    history = with_one_loss(history, number, seed)
    if number < n_initial(space) or not is_telling(space, history):
        draws = _initial_draws(space, number, seed)
    else:
        draws = promising(space, history, number, seed, kind, portfolio)
    return propose(space, history, number, seed, chain(draws, uniform_draws(space, number, seed)))


def n_initial(space: Space) -> int:
    """How many trials are made before the model is asked: two fewer than parameters, between 4 and 16."""
    return max(4, min(len(space.parameters) - 2, 16))


def _initial_draws(space: Space, number: int, seed: int) -> Iterator[Parameters]:
    """The middle, and then the quasi-random sequence from its start."""
    if number == 0:
        yield point_of_units(space, [0.5] * len(space.parameters))
    yield from sobol_draws(space, max(number - 1, 0), seed)


def promising(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    kind: Kind,
    portfolio: Portfolio,
) -> Iterator[Parameters]:
    """The points that are worth most to trial ``number``, first that of most.

    ``history`` is one that :func:`tunecli.search.bo.posterior.is_telling`.
    """
    with steady_arithmetic():
        evidence = evidence_of(space, history)
        # Of several goals each trial weighs the losses anew, so the latest were not to better what they are judged by.
        progress_N = evidence.held[:0] if any(each.losses for each in history) else evidence.held
        turn = portfolio.at(number, progress_N, n_initial(space))
        surrogate = kind.wary if turn.is_wary else kind.usual
        belief = believed(evidence, surrogate, partial(generator_for, seed, number), counts_pending=True)
        expect = log_expectation(space, number)
        ranked_MD = ranked_candidates(
            belief.encoding,
            lambda units_MD: belief.score(units_MD, turn.worth) + expect(units_MD),
            belief.best_units,
            generator_for(seed, number, "candidates"),
            few=belief.is_dear,
        )
    yield from wishes(space, ranked_MD)
