"""What the model of the scores says of each parameter, and how far it can be trusted.

The model is the Gaussian process of `bayes`, fitted to the trials as the sampler sees them: complete ones, and pruned
and paused ones with their last score. Failed trials have no score; they keep profiles away from points that probably
fail. Shares and R² are computed on the metric's own scale, not on the warped one, where the fit is made. A pure
function of the record (record-is-the-state).

`tunecli.results.importance` is another thing: it orders the columns of a table by rank statistics, without a model.

Axes: N trials of the model, D parameters of the space, M points, S kernels, K values of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunecli.config.axes import distinct_names, varying_parameters
from tunecli.config.domains import Categorical
from tunecli.config.space import Parameter, Space
from tunecli.effects import EdgeVotes, Effects, ParameterEffect, ProfilePoint, Reliability, Share
from tunecli.search.bo.acquisition_optimizer import feasibility_of
from tunecli.search.bo.encoding import features, snap
from tunecli.search.bo.feasibility import LOG_HALF
from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.posterior import (
    Posterior,
    TrialData,
    can_fit,
    deterministic_blas,
    finite_loss,
    fit_posterior,
    trial_data,
)
from tunecli.search.leave_one_out import (
    leave_one_out_means,
    n_active_needed,
    n_needed,
    r_squared,
    reliability,
)
from tunecli.search.prediction import expected_improvement, predict_trials
from tunecli.search.profiles import Profile, Profiler
from tunecli.search.samplers.bayes import n_initial
from tunecli.search.sobol_shares import total_shares
from tunecli.seeding import generator_for
from tunecli.trial import Observation

Floats = NDArray[np.float64]

MAX_PARAMETERS = 256
"""With more parameters that vary there is no model: neither would its shares mean anything, nor come in seconds."""
MAX_PROFILES = 60
"""The parameters with the largest shares have profiles."""
_N_KERNELS = 8
_N_TREES = 64
_OUTER, _INNER = 0.1, (0.15, 0.85)
_VOTE_NOISE = 0.5


def effects_of(
    space: Space,
    history: Sequence[Observation],
    seed: int,
    *,
    sign: float = 1.0,
    noise_floor: float | None = None,
    with_improvement: bool = False,
) -> Effects:
    """Return what the model says of the parameters that vary, in the metric's unit.

    It takes about a second for 100 trials of 15 parameters. Nothing in the result is NaN or infinite.

    Args:
        space: the space of the trials.
        history: every trial, by number. Of several goals the first counts. Of a long record, the model is fitted to the
            training subset of `bayes`.
        seed: the study's seed.
        sign: of the objective: 1 if a lower score is better, -1 if a higher one is.
        noise_floor: the deviation of one score that is known from repetitions, in the metric's unit; None: unknown.
            The model's estimate is raised to it.
        with_improvement: whether the next trial's expected improvement is computed.
    """
    history = [replace(trial, losses=()) for trial in history if not trial.is_pending]
    varying = varying_parameters(space)
    n_scored = sum(finite_loss(trial) is not None for trial in history)
    n_missing = max(0, n_needed(len(varying)) - n_scored)
    reason = _reason_against(space, history, n_scored, len(varying))
    if reason:
        return Effects(Reliability.UNKNOWN, n_trials=n_scored, n_missing=n_missing, reason=reason)
    with deterministic_blas():
        model = _fit(space, history, seed)
        if model is None:
            reason = "all scores are equal"
            return Effects(Reliability.UNKNOWN, n_trials=n_scored, n_missing=n_missing, reason=reason)
        values_N = model.losses(model.process.values_SN[0])
        r2 = r_squared(values_N, model.losses(leave_one_out_means(model.process).mean(axis=0)))
        noise = max(model.noise(), noise_floor or 0.0)
        parameters = _parameter_effects(model, varying, sign, noise)
    trust = reliability(r2, n_scored, len(varying))
    if trust is Reliability.UNKNOWN and not n_missing:
        n_missing = n_needed(len(varying))
    improvement = expected_improvement(space, history, len(history), seed) if with_improvement else None
    return Effects(
        trust,
        r2=r2,
        n_trials=len(values_N),
        n_missing=n_missing,
        noise=noise,
        parameters=parameters,
        predicted=_predicted(space, history, seed, sign),
        expected_improvement=improvement,
    )


def _reason_against(space: Space, history: Sequence[Observation], n_scored: int, n_varying: int) -> str:
    """Return why no model is fitted; empty: one can be."""
    if not n_varying:
        return "no parameter varies"
    if n_varying > MAX_PARAMETERS:
        return f"the model takes up to {MAX_PARAMETERS} parameters, and {n_varying:,} vary"
    if n_scored < n_initial(space):
        trials = "1 trial has" if n_scored == 1 else f"{n_scored} trials have"
        return f"{trials} a score, and the model needs {n_initial(space)}"
    return "" if can_fit(space, history) else "all scores are equal"


@dataclass(frozen=True)
class _Model:
    """The fitted model.

    Attributes:
        space: the space of the trials.
        data: the trials as arrays.
        posterior: its surrogate is ``process``.
        process: of the warped losses.
        seed, n_trials: name the generators.
    """

    space: Space
    data: TrialData
    posterior: Posterior
    process: GaussianProcess
    seed: int
    n_trials: int

    def generator(self, stream: str) -> np.random.Generator:
        return generator_for(self.seed, self.n_trials, f"importance {stream}")

    def rows(self, units_MD: Floats) -> Floats:
        return features(self.data.encoding, units_MD)

    def losses(self, warped: Floats) -> Floats:
        """Return losses in the metric's unit."""
        return self.data.warping.losses(warped)

    def noise(self) -> float:
        """Return the deviation of one score around the model, among the better half of the trials."""
        deviation = float(np.sqrt(np.square(self.process.noise_S).mean()))
        mean_N = np.sort(self.process.mean(self.data.rows_NF).mean(axis=0))
        better_N = mean_N[: (len(mean_N) + 1) // 2]
        return float(np.median(self.losses(better_N + deviation) / 2 - self.losses(better_N - deviation) / 2))


def _fit(space: Space, history: Sequence[Observation], seed: int) -> _Model | None:
    """Return the model; None if the losses are equal once outliers are reduced."""
    data = trial_data(space, history)
    if not (np.isfinite(data.warping.values_N).all() and np.ptp(data.warping.values_N) > 0):
        return None
    streams = partial(generator_for, seed, len(history))

    def fit(
        rows_NF: Floats, values_N: Floats, groups_F: NDArray[np.intp], generator: np.random.Generator
    ) -> GaussianProcess:
        return fit_gp(rows_NF, values_N, groups_F, _N_KERNELS, generator)

    posterior = fit_posterior(data, fit, streams)
    assert isinstance(posterior.surrogate, GaussianProcess)
    return _Model(space, data, posterior, posterior.surrogate, seed, len(history))


def _parameter_effects(
    model: _Model, varying: Sequence[Parameter], sign: float, noise: float
) -> tuple[ParameterEffect, ...]:
    space, encoding = model.space, model.data.encoding
    names = distinct_names(space)
    indices = {parameter.key: index for index, parameter in enumerate(space.parameters)}
    moved = [indices[parameter.key] for parameter in varying]
    n_coordinates = len(space.parameters)

    def losses_of_process(units_MD: Floats) -> Floats:
        return model.losses(model.process.mean(model.rows(snap(encoding, units_MD))))

    shares_SD, better_SD = total_shares(losses_of_process, n_coordinates, moved, model.generator("shares"))
    forest_D = _forest_shares(model, moved)
    n_active_D = (~np.isnan(model.data.units_ND)).sum(axis=0)
    n_trials = len(model.data.units_ND)
    profiler = _profiler(model)
    by_share = np.argsort(-shares_SD.mean(axis=0), kind="stable")[:MAX_PROFILES].tolist()
    profiles = {place: profiler.profile(moved[place]) for place in sorted(by_share)}
    effects = []
    for place, (parameter, index) in enumerate(zip(varying, moved, strict=True)):
        profile = profiles.get(place)
        is_numeric = not isinstance(parameter.domain, Categorical)
        effects.append(
            ParameterEffect(
                names[parameter.key],
                int(n_active_D[index]),
                bool(n_active_D[index] >= n_active_needed(n_trials)),
                _share(shares_SD[:, place]),
                _share(better_SD[:, place]),
                forest_share=float(forest_D[place]),
                profile=() if profile is None else _points(model, profile, sign),
                votes=None if profile is None or not is_numeric else _votes(model, profile, noise),
            )
        )
    return tuple(effects)


def _share(share_S: Floats) -> Share:
    low, high = np.quantile(share_S, [0.05, 0.95])
    return Share(float(share_S.mean()), float(low), float(high))


def _forest_shares(model: _Model, moved: Sequence[int]) -> Floats:
    """Return the total shares of a random forest of the losses, (len(moved),): Breiman (2001), "Random Forests"."""
    from sklearn.ensemble import RandomForestRegressor

    random_state = int(model.generator("forest").integers(2**31))
    forest = RandomForestRegressor(n_estimators=_N_TREES, random_state=random_state, n_jobs=1)
    values_N = model.process.values_SN[0]
    forest.fit(model.data.rows_NF, values_N)

    def mean(units_MD: Floats) -> Floats:
        predicted_M: Floats = forest.predict(model.rows(snap(model.data.encoding, units_MD)))
        return model.losses(predicted_M[None])

    n_coordinates = len(model.space.parameters)
    (shares_D,), _ = total_shares(mean, n_coordinates, moved, model.generator("shares"))
    return np.asarray(shares_D)


def _profiler(model: _Model) -> Profiler:
    is_feasible = feasibility_of(model.space)

    def expected(process: GaussianProcess, units_MD: Floats) -> Floats:
        rows_MF = model.rows(units_MD)
        is_likely_M = model.posterior.log_feasible(rows_MF) > LOG_HALF
        if is_feasible is not None:
            is_likely_M &= is_feasible(units_MD)
        return np.where(is_likely_M, process.mean(rows_MF), np.inf)

    return Profiler(
        model.space,
        model.data.encoding,
        partial(expected, model.process.most_likely),
        partial(expected, model.process),
        model.data.best_ND,
        model.generator("profiles"),
    )


def _points(model: _Model, profile: Profile, sign: float) -> tuple[ProfilePoint, ...]:
    """Return the profile in the metric's unit; the mixture of the kernels is approximated by a normal."""
    if not len(profile.positions_K):
        return ()
    mean_SK, deviation_SK = model.process.predict(model.rows(profile.units_KD))
    mean_K = mean_SK.mean(axis=0)
    deviation_K = np.sqrt(np.square(deviation_SK).mean(axis=0) + mean_SK.var(axis=0))
    low_K, loss_K, high_K = model.losses(mean_K + np.array([[-1.0], [0.0], [1.0]]) * deviation_K)
    rows = zip(profile.positions_K, sign * loss_K, high_K / 2 - low_K / 2, strict=True)
    return tuple(ProfilePoint(float(position), float(score), float(half)) for position, score, half in rows)


def _votes(model: _Model, profile: Profile, noise: float) -> EdgeVotes:
    """Return how many kernels expect the best loss in the outer tenth, by more than half the noise."""
    losses_SK, positions_K = model.losses(profile.least_SK), profile.positions_K
    n_kernels = len(losses_SK)
    is_inner_K = (positions_K >= _INNER[0]) & (positions_K <= _INNER[1])
    votes = []
    for is_outer_K in (positions_K <= _OUTER, positions_K >= 1 - _OUTER):
        if not (is_inner_K.any() and is_outer_K.any()):
            votes.append(0)
            continue
        gain_S = losses_SK[:, is_inner_K].min(axis=1) - losses_SK[:, is_outer_K].min(axis=1)
        votes.append(int((gain_S > _VOTE_NOISE * noise).sum()))
    return EdgeVotes(votes[0], votes[1], n_kernels)


def _predicted(
    space: Space, history: Sequence[Observation], seed: int, sign: float
) -> Mapping[int, tuple[float, float]]:
    predictions = predict_trials(space, history, seed)
    return {number: (sign * each.loss, each.deviation) for number, each in predictions.items()}
