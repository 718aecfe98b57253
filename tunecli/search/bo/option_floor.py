"""A floor of looks for every option of a choice, so that a few unlucky trials do not end the search of an option.

A model that has seen two bad or failed trials of an option takes them for the option's effect. It then spends the
budget elsewhere, although the option's own parameters were never tuned. So every fourth trial is a *slot*, and every
second one while the search makes no progress: an option that is owed a look gets it.

- **Looks.** At an option with parameters of its own, only a trial that the model chose is a look. Trials of the initial
  design are spread over all parameters at once, and hardly test the option.
- **Which options are owed a look.** First one whose latest trial brought its own best nearer to the best of all, at any
  odd trial: it is being tuned. Then each one, until all together had a sixth of the trials. Then each one with
  parameters of its own, up to 2.5 √n and an even share, whose own trials promise more than those of the best trial's
  option; while the search makes no progress, the best of these. The best trial's option is never owed a look.
- **Corners become looks.** Where the acquisition itself chooses another option than the best trial's, far from the
  option's own trials, that trial becomes a look.
- **Own evidence.** An option promises the expected improvement on the best loss, by a Gaussian process of its own
  trials alone, on the scale of their losses, times the share of them that did not fail. An option that was tuned and
  stays behind promises less with each trial (compare Li, Jiang, Gao, Shao, Zhang, Cui (2020), "Efficient Automatic CASH
  via Rising Bandits").

A choice that was active in fewer than K trials owes nothing, so that a choice with dozens of options, or one deep in a
tree, does not use up the budget. Everything follows from the training data of the posterior (record-is-the-state).

Axes: T trials, N training trials, U failed trials, M candidates, D parameters, F columns of the encoding.
"""

from __future__ import annotations

import math

import numpy as np

from tunecli.search.bo.acquisition import log_expected_improvement
from tunecli.search.bo.acquisition_optimizer import IsFeasible
from tunecli.search.bo.encoding import Floats, columns_of, features, snap
from tunecli.search.bo.option_looks import (
    FAR,
    N_SAMPLED,
    OwedLook,
    look_at,
    near_candidates,
)
from tunecli.search.bo.options import Option, options_of, own_model, own_parameters, pinned
from tunecli.search.bo.posterior import TrialData
from tunecli.seeding import generator_for

_EVERY, _EVERY_STALLED, _PHASE = 4, 2, 3
_UNCONDITIONAL_SHARE = 1 / 6  # of all trials; two thirds of the slots
_PROMISING = 2.5
_LEAST_GAIN = 0.05  # of the distance to the best loss
_N_CONTENDERS = 6  # those with the fewest looks; a model of an option's evidence costs milliseconds
_N_TRIED = 16  # options of which points are drawn, until one has a feasible and new point
_PRIOR_DEVIATION = math.sqrt(2.0)  # of the process before the first trial


def owed_look(
    data: TrialData,
    number: int,
    seed: int,
    is_feasible_point: IsFeasible | None = None,
    *,
    n_initial: int = 0,
    is_stalled: bool = False,
) -> OwedLook | None:
    """Return the look that trial ``number`` owes to an option; None for most trials.

    Args:
        data: the trials so far.
        number: the trial's number.
        seed: the study's seed.
        is_feasible_point: which points of a constrained space are feasible; None: all are. An option of which no
            sampled point is feasible and new is owed nothing.
        n_initial: number of trials that no model chose.
        is_stalled: whether the search makes no progress.
    """
    if (number - _PHASE) % _EVERY_STALLED:
        return None
    generator = generator_for(seed, number, "options")
    best_F = data.rows_NF[data.order_N[0]]
    options = list(options_of(data, n_initial))
    others = [option for option in options if not best_F[option.column] > 0]
    improving = [option for option in others if option.has_own and is_improving(data, option, n_initial)]
    if improving:
        latest = max(improving, key=lambda option: int(data.numbers_T[option.is_own_T].max()))
        return look_at(data, latest, seed, generator, is_feasible_point, is_near=True)
    if not is_slot(number, is_stalled=is_stalled):
        return None
    n_tuned = sum(option.has_own for option in others)
    below = [option for option in others if option.n_looks < unconditional_floor(option, n_tuned)]
    if below:
        below.sort(key=lambda option: option.n_looks / unconditional_floor(option, n_tuned))
        looks = (look_at(data, option, seed, generator, is_feasible_point) for option in below[:_N_TRIED])
        return next((look for look in looks if look is not None), None)
    contenders = [option for option in others if option.has_own and option.n_looks < promising_floor(option)]
    if not contenders:
        return None
    contenders = sorted(contenders, key=lambda option: option.n_looks)[:_N_CONTENDERS]
    scored = [(promise(data, option, generator), option) for option in contenders]
    rivals = {option.parameter: option for option in options if best_F[option.column] > 0}
    first_rival = next(iter(rivals.values()), None)
    for score, option in sorted(scored, key=lambda pair: -pair[0]):
        # A choice that the best trial does not have is in another branch than that trial.
        rival = rivals.get(option.parameter, first_rival)
        if is_stalled or rival is None or score >= promise(data, rival, generator):
            return look_at(data, option, seed, generator, is_feasible_point)
    return None


def look_instead(
    data: TrialData,
    units_D: Floats,
    number: int,
    seed: int,
    is_feasible_point: IsFeasible | None = None,
    *,
    n_initial: int = 0,
    is_stalled: bool = False,
) -> OwedLook | None:
    """Return the look that replaces a slot's trial at another option than the best trial's; None to keep the trial.

    The acquisition tries such an option where it is most uncertain: in a corner, which shows little of the option.

    Args:
        data, number, seed, is_feasible_point, n_initial, is_stalled: as for :func:`owed_look`, which returned None.
        units_D: the units of the point that the acquisition chose.
    """
    best_F, (row_F,) = data.rows_NF[data.order_N[0]], features(data.encoding, units_D[None])
    is_any = is_slot(number, is_stalled=is_stalled)
    others = [
        option
        for option in options_of(data, n_initial)
        if row_F[option.column] > 0
        and not best_F[option.column] > 0
        and (is_any or is_far(data, option, row_F))
    ]
    if not others:
        return None
    generator = generator_for(seed, number, "options")
    return look_at(data, min(others, key=lambda option: option.n_looks), seed, generator, is_feasible_point)


def is_improving(data: TrialData, option: Option, n_initial: int) -> bool:
    """Return whether the option's latest trial brought its own best a twentieth nearer to the best loss of all.

    Args:
        data: the trials so far.
        option: the option, which is not that of the best trial.
        n_initial: number of trials that no model chose; the latest trial is none of them.
    """
    latest = int(np.argmax(np.where(option.is_own_T, data.numbers_T, -1)))
    is_own_N = option.is_own_T[: len(data.rows_NF)].copy()
    if latest >= len(is_own_N) or data.numbers_T[latest] < n_initial or is_own_N.sum() < 2:
        return False
    is_own_N[latest] = False
    losses_N = data.losses_N
    before, best = float(losses_N[is_own_N].min()), float(losses_N[data.order_N[0]])
    return bool(before - losses_N[latest] > _LEAST_GAIN * (before - best))


def is_far(data: TrialData, option: Option, row_F: Floats) -> bool:
    """Return whether a point is far from every trial of its option, in the parameters that only the option has."""
    is_own_D = own_parameters(data.encoding, option)
    own_F = np.zeros(len(row_F), dtype=bool)
    for parameter, columns in columns_of(data.encoding).items():
        own_F[columns] = is_own_D[parameter]
    if not own_F.any():
        return False
    own_TF = data.tried_TF[option.is_own_T][:, own_F]
    distance_T = np.sqrt(np.square(own_TF - row_F[own_F]).mean(axis=1))
    return bool((distance_T > FAR).all())


def is_slot(number: int, *, is_stalled: bool) -> bool:
    """Return whether trial ``number`` is a slot: every fourth, and every second while the search makes no progress."""
    return (number - _PHASE) % (_EVERY_STALLED if is_stalled else _EVERY) == 0


def unconditional_floor(option: Option, n_tuned: int) -> float:
    """Return the number of looks that the option gets in any case; 0 while its choice is too new.

    Args:
        option: the option.
        n_tuned: how many options have parameters of their own, apart from those of the best trial.
    """
    if option.n_of_choice < option.n_options:
        return 0.0
    looks = _UNCONDITIONAL_SHARE * option.n_of_choice
    if not option.has_own:
        return looks / max(option.n_options - 1, 1)
    return max(
        looks / max(n_tuned, 1) - 0.5, 0.0
    )  # rounded: the first look of each, before the second one of any


def promising_floor(option: Option) -> float:
    """Return the number of looks up to which its evidence decides: at most an even share; 0 as above."""
    if option.n_of_choice < option.n_options:
        return 0.0
    return min(_PROMISING * math.sqrt(option.n_of_choice), option.n_of_choice / option.n_options)


def promise(data: TrialData, option: Option, generator: np.random.Generator) -> float:
    """Return the log expected improvement on the best loss, by the option's own trials alone.

    Args:
        data: the trials so far.
        option: the option.
        generator: draws the points that are judged.
    """
    n_trained, n_failed = len(data.rows_NF), len(data.failed_UF)
    n_own = int(option.is_own_T[:n_trained].sum())
    n_own_failed = int(option.is_own_T[n_trained : n_trained + n_failed].sum())
    # Laplace's rule of succession.
    log_success = math.log((n_own + 1) / (n_own + n_own_failed + 2)) if n_own_failed else 0.0
    best_loss = float(data.losses_N[data.order_N[0]])
    model = own_model(data, option)
    if model is None:
        deviation = float(data.losses_N.std()) or 1.0
        incumbent_1 = np.array([(best_loss - float(data.losses_N.mean())) / deviation])
        scores_1 = log_expected_improvement(np.zeros((1, 1)), np.full((1, 1), _PRIOR_DEVIATION), incumbent_1)
        return log_success + float(scores_1[0]) + math.log(deviation)
    is_own_D = own_parameters(data.encoding, option)
    encoding = pinned(data.encoding, option.parameter, (option.place,))
    units_MD = snap(encoding, generator.random((N_SAMPLED, data.best_ND.shape[1])))
    near_MD = near_candidates(data, option, encoding, is_own_D, generator)
    scores_M = model.log_improvement(features(data.encoding, np.vstack([units_MD, near_MD])), best_loss)
    return log_success + float(scores_M.max())
