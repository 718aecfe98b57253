"""A floor of looks for every option of a choice, so that a few unlucky trials do not end the search of an option.

A model that has seen two bad or failed trials of an option takes them for the option's effect. It then spends the
budget elsewhere, although the option's own parameters were never tuned. So every fourth trial is a *slot*: an option
that is owed a look gets it.

- **Which options are owed a look.** Each one, until it has 4 (√n - 2.5) / K trials, where n is the number of trials in
  which its choice was active and K the number of options. Then each one with parameters of its own, up to 2.5 √n and an
  even share, whose own trials promise more than those of the best trial's option. The latter is never owed a look. And
  where the acquisition itself chooses such an option for a slot, that trial becomes a look.
- **Own evidence.** An option promises the expected improvement on the best loss, by a Gaussian process of its own
  trials alone, times the share of them that did not fail. An option that was tuned and stays behind promises less with
  each trial (compare Li, Jiang, Gao, Shao, Zhang, Cui (2020), "Efficient Automatic CASH via Rising Bandits").
- **Which point it is.** The first looks, and two of three later ones, spread the option's own parameters over their
  ranges and take the others from the best trial. The rest improve the option's own best trial: the best trial of all is
  no measure within an option that is still far behind it. They are near it, since a model that knows little of an
  option expects most in the corners.

A choice that was active in fewer than K trials owes nothing, so that a choice with dozens of options, or one deep in a
tree, does not use up the budget. Everything follows from the training data of the posterior (record-is-the-state).

Axes: T trials, M candidates, D parameters, F columns of the encoding, K options of a choice, S members of a surrogate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tunecli.search.bo.acquisition import log_expected_improvement
from tunecli.search.bo.acquisition_optimizer import IsFeasible
from tunecli.search.bo.encoding import Floats, columns_of, features, snap
from tunecli.search.bo.gaussian_process import fit_gp
from tunecli.search.bo.option_looks import N_SAMPLED, Option, OwedLook, look_at, own_parameters, pinned
from tunecli.search.bo.posterior import TrialData
from tunecli.seeding import generator_for

_EVERY, _PHASE = 4, 3
# Looks grow with the root of the number of trials. In a choice of two the worse option then gets 15 % of trials 20 to
# 60, and no more than the first random trials would give it before.
_UNCONDITIONAL, _ROOT_FIRST, _PROMISING = 4.0, 2.5, 2.5
_N_CONTENDERS = 6  # those with the fewest looks; a model of an option's evidence costs milliseconds
_N_TRIED = 16  # options of which points are drawn, until one has a feasible and new point
_PRIOR_DEVIATION = math.sqrt(2.0)  # of the process before the first trial


def owed_look(
    data: TrialData, number: int, seed: int, is_feasible_point: IsFeasible | None = None
) -> OwedLook | None:
    """Return the look that trial ``number`` owes to an option; None for most trials.

    Args:
        data: the trials so far.
        number: the trial's number.
        seed: the study's seed.
        is_feasible_point: which points of a constrained space are feasible; None: all are. An option of which no
            sampled point is feasible and new is owed nothing.
    """
    if number % _EVERY != _PHASE:
        return None
    generator = generator_for(seed, number, "options")
    units_MD = generator.random((N_SAMPLED, data.best_ND.shape[1]))
    best_F = data.rows_NF[data.order_N[0]]
    options = list(options_of(data))
    others = [option for option in options if not best_F[option.column] > 0]
    below = [option for option in others if option.n_looks < unconditional_floor(option)]
    if below:
        below.sort(key=lambda option: option.n_looks / unconditional_floor(option))
        looks = (look_at(data, option, seed, generator, is_feasible_point) for option in below[:_N_TRIED])
        return next((look for look in looks if look is not None), None)
    contenders = [
        option
        for option in others
        if option.n_looks < promising_floor(option) and own_parameters(data.encoding, option).any()
    ]
    if not contenders:
        return None
    contenders = sorted(contenders, key=lambda option: option.n_looks)[:_N_CONTENDERS]
    scored = [(promise(data, option, units_MD, generator), option) for option in contenders]
    rivals = {option.parameter: option for option in options if best_F[option.column] > 0}
    first_rival = next(iter(rivals.values()), None)
    for score, option in sorted(scored, key=lambda pair: -pair[0]):
        # A choice that the best trial does not have is in another branch than that trial.
        rival = rivals.get(option.parameter, first_rival)
        if rival is None or score >= promise(data, rival, units_MD, generator):
            return look_at(data, option, seed, generator, is_feasible_point)
    return None


def look_instead(
    data: TrialData, units_D: Floats, number: int, seed: int, is_feasible_point: IsFeasible | None = None
) -> OwedLook | None:
    """Return the look that replaces a slot's trial at another option than the best trial's; None to keep the trial.

    The acquisition tries such an option where it is most uncertain: in a corner, which shows little of the option.

    Args:
        data, number, seed, is_feasible_point: as for :func:`owed_look`, which returned None.
        units_D: the units of the point that the acquisition chose.
    """
    if number % _EVERY != _PHASE:
        return None
    best_F, (row_F,) = data.rows_NF[data.order_N[0]], features(data.encoding, units_D[None])
    others = [
        option for option in options_of(data) if row_F[option.column] > 0 and not best_F[option.column] > 0
    ]
    if not others:
        return None
    generator = generator_for(seed, number, "options")
    return look_at(data, min(others, key=lambda option: option.n_looks), seed, generator, is_feasible_point)


def unconditional_floor(option: Option) -> float:
    """Return the number of looks that the option gets in any case; 0 while its choice is too new."""
    if option.n_of_choice < option.n_options:
        return 0.0
    return max(_UNCONDITIONAL * (math.sqrt(option.n_of_choice) - _ROOT_FIRST) / option.n_options, 0.0)


def promising_floor(option: Option) -> float:
    """Return the number of looks up to which its evidence decides: at most an even share; 0 as above."""
    if option.n_of_choice < option.n_options:
        return 0.0
    return min(_PROMISING * math.sqrt(option.n_of_choice), option.n_of_choice / option.n_options)


def options_of(data: TrialData) -> Iterator[Option]:
    """Yield the options of every choice without an order, in the order of the space."""
    for parameter, columns in columns_of(data.encoding).items():
        if not data.encoding.dimensions[parameter].is_categorical:
            continue
        is_option_TK = data.tried_TF[:, columns] > 0
        n_of_choice, n_options = int(is_option_TK.sum()), is_option_TK.shape[1]
        for place in range(n_options):
            column = columns.start + place
            yield Option(parameter, place, column, is_option_TK[:, place], n_of_choice, n_options)


def promise(data: TrialData, option: Option, units_MD: Floats, generator: np.random.Generator) -> float:
    """Return the log expected improvement on the best loss, by the option's own trials alone.

    Args:
        data: the trials so far.
        option: the option.
        units_MD: a sample of the unit cube.
        generator: for the fit.
    """
    n_trained, n_failed = len(data.rows_NF), len(data.failed_UF)
    is_trained_N = option.is_own_T[:n_trained]
    n_own = int(is_trained_N.sum())
    n_own_failed = int(option.is_own_T[n_trained : n_trained + n_failed].sum())
    # Laplace's rule of succession.
    log_success = math.log((n_own + 1) / (n_own + n_own_failed + 2)) if n_own_failed else 0.0
    incumbent_1 = data.warping.values_N[data.order_N[:1]]
    if not n_own:
        prior_11 = np.zeros((1, 1)), np.full((1, 1), _PRIOR_DEVIATION)
        return log_success + float(log_expected_improvement(*prior_11, incumbent_1)[0])
    groups_F = data.encoding.groups_F
    model = fit_gp(data.rows_NF[is_trained_N], data.warping.values_N[is_trained_N], groups_F, 1, generator)
    snapped_MD = snap(pinned(data.encoding, option.parameter, (option.place,)), units_MD)
    scores_M = log_expected_improvement(*model.predict(features(data.encoding, snapped_MD)), incumbent_1)
    return log_success + float(scores_M.max())
