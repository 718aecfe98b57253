"""A floor of looks for every option of a choice, so that none is given up by a few unlucky trials.

A model that has seen two bad or failed trials of an option takes them for the option's effect. It then spends the
budget elsewhere, although the option's own parameters were never tuned. So every fourth trial is a *slot*: the option
that is owed a look gets it, and the acquisition chooses the point within that option.

- **Which options are owed a look.** Each one, until it has 1 + log₂(n / K) trials, where n is the number of trials in
  which its choice was active and K the number of options. Then each one whose own evidence still promises an
  improvement, until it has 2.5 √n. The option of the best trial so far is never owed one.
- **Own evidence.** A Gaussian process of the option's own trials alone, and the share of them that failed. Of several
  options the slot goes to the one with the highest expected improvement by this evidence. An option that was tuned and
  stays behind promises less with each trial (compare Li, Jiang, Gao, Shao, Zhang, Cui (2020), "Efficient Automatic CASH
  via Rising Bandits").
- **Which point it is.** The first looks, and every second later one, spread the option's own parameters over their
  ranges and take the others from the best trial. The rest most improve the option's own best trial: the best trial of
  all is no measure within an option that is still far behind it. Improvement alone would stay in the corners, where a
  model that knows little expects most.

A choice that was active in fewer than K trials owes nothing, so that a choice with dozens of options, or one deep in a
tree, does not use up the budget. Everything follows from the training data of the posterior (record-is-the-state).

Axes: T trials, M candidates, D parameters, F columns of the encoding, K options of a choice, S members of a surrogate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo.acquisition import Acquisition, log_expected_improvement, negative_lcb
from tunecli.search.bo.acquisition_optimizer import IsFeasible, is_repeat
from tunecli.search.bo.encoding import (
    Encoding,
    Floats,
    columns_of,
    features,
    snap,
    units_of_coordinates,
)
from tunecli.search.bo.feasibility import LOG_HALF, is_feasible
from tunecli.search.bo.gaussian_process import fit_gp
from tunecli.search.bo.posterior import Posterior, TrialData
from tunecli.search.draws import sobol_units
from tunecli.seeding import generator_for

_EVERY, _PHASE = 4, 3
_ROOT_FACTOR = 2.5
_N_CONTENDERS = (
    6  # options whose own evidence is modelled, those with the fewest looks; a model costs milliseconds
)
_N_CANDIDATES = 128
_N_FIRST = 2  # looks that spread, beside one for each own parameter
_CONFIDENCE = 0.5  # deviations below the mean
_N_SPREAD = 32  # a power of two, for Sobol
_MARGIN = 0.05  # a spread point is not nearer to the ends of a range
_FAR = 0.15  # root mean square over columns


@dataclass(frozen=True)
class Option:
    """One option of a choice, and its evidence.

    Attributes:
        parameter: the index of the choice among the parameters of the space.
        place: the position of the option, from 0.
        is_own_T: which of the tried trials had this option.
        n_of_choice: in how many trials the choice was active.
        n_options: how many options the choice has.
    """

    parameter: int
    place: int
    is_own_T: NDArray[np.bool_]
    n_of_choice: int
    n_options: int

    @property
    def n_looks(self) -> int:
        """How many trials had this option."""
        return int(self.is_own_T.sum())

    @property
    def unconditional_floor(self) -> float:
        """The number of looks that the option gets whatever its evidence; 0 while its choice is too new."""
        return 1 + math.log2(self._even_share) if self._even_share >= 1 else 0.0

    @property
    def promising_floor(self) -> float:
        """The number of looks up to which its evidence decides: at most an even share; 0 as above."""
        return (
            min(_ROOT_FACTOR * math.sqrt(self.n_of_choice), self._even_share)
            if self._even_share >= 1
            else 0.0
        )

    @property
    def _even_share(self) -> float:
        return self.n_of_choice / self.n_options


@dataclass(frozen=True)
class OwedLook:
    """The look that a trial owes to an option.

    Attributes:
        option: the option.
        encoding: the encoding of the space whose points all have that option.
        spread_MD: the units of points whose own parameters are spread, the first one preferred; empty if the
            acquisition chooses the point.
    """

    option: Option
    encoding: Encoding
    spread_MD: Floats

    def spread_points(self, posterior: Posterior, data: TrialData) -> Floats:
        """Return the units of spread points, (M, D), those that likely do not fail first; empty as ``spread_MD``."""
        if not len(self.spread_MD):
            return self.spread_MD
        log_M = posterior.log_feasible(features(data.encoding, self.spread_MD))
        order_M = np.argsort(np.where(log_M > LOG_HALF, 0.0, -log_M), kind="stable")
        return self.spread_MD[order_M]

    def judged_alone(
        self, posterior: Posterior, acquisition: Acquisition, data: TrialData
    ) -> tuple[Posterior, Acquisition]:
        """Return the posterior whose incumbent is the option's own, and the acquisition that improves on it.

        Both are unchanged if no trial of the option is feasible yet.
        """
        own_WF = data.rows_NF[self.option.is_own_T[: len(data.rows_NF)] & is_feasible(data.violations_NC)]
        if posterior.incumbent_S is None or not len(own_WF):
            return posterior, acquisition
        incumbent_S = posterior.surrogate.mean(own_WF).min(axis=1)
        return replace(posterior, incumbent_S=incumbent_S), partial(negative_lcb, confidence=_CONFIDENCE)


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
    best_F = data.rows_NF[data.order_N[0]]
    others = [option for option in options_of(data) if not _has_option(data.encoding, best_F, option)]
    below = [option for option in others if option.n_looks < option.unconditional_floor]
    if below:
        contenders = sorted(below, key=lambda option: option.n_looks / option.unconditional_floor)
    else:
        contenders = sorted(
            (option for option in others if option.n_looks < option.promising_floor),
            key=lambda option: option.n_looks,
        )
    looks = islice(_possible(data, contenders, generator, is_feasible_point), _N_CONTENDERS)
    if below:
        look = next((look for look, _ in looks), None)
    else:
        scored = [(promise(data, look.option, rows_MF, generator), look) for look, rows_MF in looks]
        look = max(scored, key=lambda pair: pair[0])[1] if scored else None
    if look is None:
        return None
    n_own = int(_is_own(data.encoding, look.option).sum())
    if look.option.n_looks % 2 and look.option.n_looks >= n_own + _N_FIRST:
        return look
    spread_MD = _spread_points(data, look, seed)
    if is_feasible_point is not None:
        spread_MD = spread_MD[is_feasible_point(spread_MD)]
    return replace(look, spread_MD=spread_MD)


def options_of(data: TrialData) -> Iterator[Option]:
    """Yield the options of every choice without an order, in the order of the space."""
    for parameter, columns in columns_of(data.encoding).items():
        if not data.encoding.dimensions[parameter].is_categorical:
            continue
        is_option_TK = data.tried_TF[:, columns] > 0
        n_of_choice, n_options = int(is_option_TK.sum()), is_option_TK.shape[1]
        for place in range(n_options):
            yield Option(parameter, place, is_option_TK[:, place], n_of_choice, n_options)


def promise(data: TrialData, option: Option, rows_MF: Floats, generator: np.random.Generator) -> float:
    """Return the log expected improvement on the best loss, by the option's own trials alone.

    Args:
        data: the trials so far.
        option: the option; it has a trial.
        rows_MF: candidates of the option.
        generator: for the fit.
    """
    n_trained, n_failed = len(data.rows_NF), len(data.failed_UF)
    is_trained_N = option.is_own_T[:n_trained]
    n_own_failed = int(option.is_own_T[n_trained : n_trained + n_failed].sum())
    n_own = int(is_trained_N.sum())
    # Laplace's rule of succession.
    log_success = math.log((n_own + 1) / (n_own + n_own_failed + 2)) if n_own_failed else 0.0
    incumbent = data.warping.values_N[data.order_N[0]]
    if not n_own:
        prior_M1 = np.zeros((1, 1)), np.full((1, 1), math.sqrt(2.0))
        return log_success + float(log_expected_improvement(*prior_M1, np.array([incumbent]))[0])
    model = fit_gp(
        data.rows_NF[is_trained_N], data.warping.values_N[is_trained_N], data.encoding.groups_F, 1, generator
    )
    scores_M = log_expected_improvement(*model.predict(rows_MF), np.array([incumbent]))
    return log_success + float(scores_M.max())


def pinned(encoding: Encoding, parameter: int, places: tuple[int, ...]) -> Encoding:
    """Return the encoding whose snapped points have one of the values ``places`` of a parameter, and are active there.

    Only :func:`tunecli.search.bo.encoding.snap` and the drawing of candidates may use it: its rows have other columns.

    Args:
        encoding: of the space.
        parameter: the index of a parameter with a list of values.
        places: positions of the values, ascending; at least one.
    """
    dimension = encoding.dimensions[parameter]
    if dimension.units_K is None:
        raise ValueError("a pinned parameter has a list of values")
    kept_K = np.array(places)
    units_K = dimension.units_K[kept_K]
    dimensions = list(encoding.dimensions)
    dimensions[parameter] = replace(
        dimension,
        units_K=units_K,
        edges_J=(units_K[1:] + units_K[:-1]) / 2,
        order_K=None if dimension.order_K is None else np.argsort(np.argsort(dimension.order_K[kept_K])),
    )
    for index, child in enumerate(dimensions):
        conditions = tuple(
            (parent, is_allowed_K[kept_K] if parent == parameter else is_allowed_K)
            for parent, is_allowed_K in child.conditions
        )
        dimensions[index] = replace(child, conditions=conditions)
    narrowed = Encoding(tuple(dimensions), encoding.groups_F)
    for parent, is_allowed_K in narrowed.dimensions[parameter].conditions:
        allowed = np.flatnonzero(is_allowed_K)
        if len(allowed) < len(is_allowed_K):
            narrowed = pinned(narrowed, parent, tuple(allowed.tolist()))
    return narrowed


def _possible(
    data: TrialData,
    contenders: list[Option],
    generator: np.random.Generator,
    is_feasible_point: IsFeasible | None,
) -> Iterator[tuple[OwedLook, Floats]]:
    """Yield the options that have a feasible point which was not tried, each with rows of such points."""
    units_MD = generator.random((_N_CANDIDATES, len(data.encoding.dimensions)))
    for option in contenders:
        encoding = pinned(data.encoding, option.parameter, (option.place,))
        snapped_MD = snap(encoding, units_MD)
        if is_feasible_point is not None:
            snapped_MD = snapped_MD[is_feasible_point(snapped_MD)]
        rows_MF = features(data.encoding, snapped_MD)
        if len(rows_MF):
            rows_MF = rows_MF[~is_repeat(rows_MF, data.tried_TF).any(axis=1)]
        if len(rows_MF):
            yield OwedLook(option, encoding, snapped_MD[:0]), rows_MF


def _spread_points(data: TrialData, look: OwedLook, seed: int) -> Floats:
    """Return the units of the best trial with the option, and with other parameters of its own, (M, D).

    The own parameters are the middle of their ranges, then a Sobol sequence. Points near one of the option's trials are
    left out, unless all are near one. Then the farthest one comes first.
    """
    best_D, n_parameters = data.best_ND[0], data.best_ND.shape[1]
    option = look.option
    sequence_MD = sobol_units(
        _N_SPREAD, n_parameters, generator_for(seed, "option", option.parameter, option.place)
    )
    coordinates_MD = np.vstack([np.full((1, n_parameters), 0.5), _MARGIN + (1 - 2 * _MARGIN) * sequence_MD])
    fresh_MD = units_of_coordinates(data.encoding, coordinates_MD)
    is_kept_D = ~_is_own(data.encoding, option) & ~np.isnan(best_D)
    snapped_MD = snap(look.encoding, np.where(is_kept_D, best_D, fresh_MD))
    own_F = np.zeros(data.tried_TF.shape[1], dtype=bool)
    for parameter, columns in columns_of(data.encoding).items():
        own_F[columns] = not is_kept_D[parameter]
    own_TF = data.tried_TF[option.is_own_T][:, own_F]
    rows_MF = features(data.encoding, snapped_MD)
    if len(own_TF) and own_F.any():
        distance_M = np.sqrt(np.square(rows_MF[:, None, own_F] - own_TF).mean(axis=2).min(axis=1))
        is_far_M = distance_M >= _FAR
        order = np.flatnonzero(is_far_M) if is_far_M.any() else np.argsort(-distance_M, kind="stable")
        snapped_MD, rows_MF = snapped_MD[order], rows_MF[order]
    return snapped_MD[~is_repeat(rows_MF, data.tried_TF).any(axis=1)]


def _is_own(encoding: Encoding, option: Option) -> NDArray[np.bool_]:
    """Return which parameters exist only because of the option, or of a choice within it, (D,)."""
    is_own_D = np.zeros(len(encoding.dimensions), dtype=bool)
    for index, dimension in enumerate(encoding.dimensions):
        is_own_D[index] = any(
            is_own_D[parent] or (parent == option.parameter and is_allowed_K[option.place])
            for parent, is_allowed_K in dimension.conditions
        )
    return is_own_D


def _has_option(encoding: Encoding, row_F: Floats, option: Option) -> bool:
    return bool(row_F[columns_of(encoding)[option.parameter]][option.place] > 0)
