"""Earlier studies in `bayes`: the weights of their models, the surrogate with them, and the first points."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.search.bo.earlier_studies import (
    best_earlier_points,
    chance_bound,
    earlier_models,
    misranked_pairs,
    n_from_earlier,
)
from tunecli.search.bo.encoding import encoding_of, features, units_of_points
from tunecli.search.bo.posterior import deterministic_blas
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.bo.transfer import informed, model_weights, ranking_weights
from tunecli.search.protocols import suggest
from tunecli.trial import EarlierStudy, Observation, State

SPACE = space_of("params: {x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}\npython: mine:train")


def loss(point):
    return (point["params.x"] - 0.2) ** 2 + (point["params.y"] - 0.7) ** 2


def points(n, seed=0):
    return [
        {"params.x": float(x), "params.y": float(y)} for x, y in np.random.default_rng(seed).random((n, 2))
    ]


def earlier(name="a", sign=1.0, n=30, seed=0, **fields):
    found = points(n, seed)
    return EarlierStudy(name, tuple(found), tuple(sign * loss(point) for point in found), **fields)


RELATED = replace(SPACE, earlier=(earlier(),))
OPPOSITE = replace(SPACE, earlier=(earlier(sign=-1.0),))


def history(n, seed=5):
    return [
        Observation(number, point, State.COMPLETE, loss(point))
        for number, point in enumerate(points(n, seed))
    ]


def rows_of(found):
    return features(encoding_of(SPACE), units_of_points(SPACE, found))


def weights_after(space, n, seed=5):
    found = points(n, seed)
    values = np.array([loss(point) for point in found])
    groups = encoding_of(space).groups_F
    with deterministic_blas():
        models = earlier_models(space, encoding_of(space))
        standard = (values - values.mean()) / values.std()
        return model_weights(models, rows_of(found), standard, groups, np.random.default_rng(1))


def test_misranked_pairs_are_those_whose_order_is_wrong():
    generator = np.random.default_rng(3)
    values, predicted = generator.random(9), generator.random((4, 3, 9))
    expected = [
        [
            sum(
                (prediction[i] < prediction[j]) != (values[i] < values[j])
                for i, j in combinations(range(9), 2)
            )
            for prediction in sample
        ]
        for sample in predicted
    ]
    assert misranked_pairs(predicted, values).tolist() == expected


def test_the_weight_is_the_share_of_samples_in_which_a_model_misranks_least():
    errors = np.random.default_rng(4).integers(0, 9, (50, 4))
    expected = np.zeros(4)
    for sample in errors.tolist():
        winners = [model for model, error in enumerate(sample) if error == min(sample)]
        for model in winners:
            expected[model] += 1 / len(winners) / len(errors)
    assert ranking_weights(errors) == pytest.approx(expected[:-1])


def test_a_model_that_ranks_clearly_worse_than_the_own_one_has_no_weight():
    errors = np.tile([[9, 4, 5]], (20, 1))
    errors[0] = [0, 4, 5]  # one lucky sample
    assert ranking_weights(errors).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("n", [4, 6, 7])
def test_about_a_tenth_of_all_orders_misrank_as_few_pairs_as_the_bound_of_chance(n):
    orders = np.array([*permutations(range(n))], dtype=float)
    errors = misranked_pairs(orders[:, None], np.arange(n, dtype=float))[:, 0]
    assert 0.03 < (errors <= chance_bound(n)).mean() < 0.2
    assert chance_bound(60) == pytest.approx(np.quantile(_random_errors(60), 0.1), rel=0.02)


def _random_errors(n):
    orders = np.array([np.random.default_rng(seed).permutation(n) for seed in range(500)], dtype=float)
    return misranked_pairs(orders[:, None], np.arange(n, dtype=float))[:, 0]


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_trials_to_rank_leave_the_whole_weight_to_the_earlier_models(n):
    both = replace(SPACE, earlier=(earlier(), earlier("b", seed=1)))
    assert weights_after(both, n).tolist() == [0.5, 0.5]


def test_a_related_study_has_weight_and_an_opposite_one_loses_it():
    assert weights_after(RELATED, 5)[0] > 0.5
    assert weights_after(OPPOSITE, 12)[0] < 0.05


def test_the_surrogate_with_a_related_study_predicts_better_than_alone():
    found, probes = points(4, 5), rows_of(points(200, 9))
    truth = np.array([loss(point) for point in points(200, 9)])
    values = np.array([loss(point) for point in found])
    values = (values - values.mean()) / values.std()
    errors = []
    for space in (SPACE, RELATED):
        encoding = encoding_of(space)
        with deterministic_blas():
            fit = informed(SURROGATES["gp"].default, space, encoding)
            surrogate = fit(rows_of(found), values, encoding.groups_F, np.random.default_rng(2))
            mean, deviation = surrogate.predict(probes)
            assert mean == pytest.approx(surrogate.mean(probes))
            pending = surrogate.fantasize(probes[:3])
            assert pending.mean(probes) == pytest.approx(mean, abs=1e-6)
            assert (pending.predict(probes)[1][:, :3] < deviation[:, :3]).all()
        errors.append(1 - np.corrcoef(mean.mean(axis=0), truth)[0, 1])
    assert errors[1] < 0.5 * errors[0]


def test_without_earlier_studies_the_fit_is_unchanged():
    fit = SURROGATES["gp"].default
    assert informed(fit, SPACE, encoding_of(SPACE)) is fit


def test_an_unknown_parameter_has_no_part_in_the_model_of_a_study():
    unknown = replace(SPACE, earlier=(earlier(unknown=("params.y",)),))
    with deterministic_blas():
        (model,) = earlier_models(unknown, encoding_of(unknown))
        rows = rows_of([{"params.x": 0.3, "params.y": y} for y in (0.1, 0.9)])
        low, high = model.mean(rows)
    assert model.columns.tolist() == [0]
    assert low == high


def test_a_record_of_noise_has_no_model():
    known = earlier(n=40)
    shuffled = replace(known, losses=tuple(np.random.default_rng(2).permutation(known.losses).tolist()))
    with deterministic_blas():
        assert not earlier_models(replace(SPACE, earlier=(shuffled,)), encoding_of(SPACE))
        assert len(earlier_models(replace(SPACE, earlier=(known,)), encoding_of(SPACE))) == 1


def test_structure_that_a_kernel_finds_in_noise_is_no_model():
    """Leaving one trial out of a fit to all would accept nearly all of these."""
    names = [f"x{index}" for index in range(6)]
    space = space_of(
        "params: {" + ", ".join(f"{n}: {{uniform: [0, 1]}}" for n in names) + "}\npython: mine:train"
    )
    generator = np.random.default_rng(7)
    studies = tuple(
        EarlierStudy(
            str(index),
            tuple(
                dict(zip((f"params.{name}" for name in names), row, strict=True))
                for row in generator.random((50, 6)).tolist()
            ),
            tuple(generator.standard_normal(50).tolist()),
        )
        for index in range(10)
    )
    with deterministic_blas():
        assert len(earlier_models(replace(space, earlier=studies), encoding_of(space))) <= 2


def test_studies_without_different_points_or_losses_have_no_model():
    one = {"params.x": 0.5, "params.y": 0.5}
    same_points = EarlierStudy("a", (one, one), (1.0, 2.0))
    same_losses = EarlierStudy("b", tuple(points(3)), (1.0, 1.0, 1.0))
    assert earlier_models(replace(SPACE, earlier=(same_points, same_losses)), encoding_of(SPACE)) == []


def test_the_first_trials_are_the_best_points_of_the_studies_in_turn():
    one, other = earlier(), earlier("b", sign=-1.0, seed=1)
    space = replace(SPACE, earlier=(one, other))
    best = [
        min(zip(study.losses, study.points, strict=True), key=lambda pair: pair[0])[1]
        for study in (one, other)
    ]
    assert [point for point, _ in zip(best_earlier_points(space), range(2), strict=False)] == best
    first = suggest("bayes", space, [], 0, 0)
    done = [Observation(0, first, State.COMPLETE, 1.0)]
    assert [first, suggest("bayes", space, done, 1, 0)] == best
    assert suggest("bayes", space, [*done, Observation(1, best[1], State.COMPLETE, 2.0)], 2, 0) == {
        "params.x": 0.5,
        "params.y": 0.5,
    }


def test_a_record_of_noise_has_no_part_in_the_first_trials():
    def noise(n):
        known = earlier(n=n)
        return replace(
            known, losses=tuple(np.random.default_rng(2).permutation(known.losses).tolist()), name="b"
        )

    plain = [suggest("bayes", SPACE, history(number), number, 3) for number in range(3)]
    for studies, n_expected in (((noise(40),), 0), ((noise(19),), 2), ((earlier(n=40), noise(40)), 2)):
        space = replace(SPACE, earlier=studies)
        with deterministic_blas():
            assert n_from_earlier(space) == n_expected
            best = best_earlier_points(space)
        firsts = [suggest("bayes", space, history(number), number, 3) for number in range(3)]
        if n_expected:
            counted = studies[0]
            in_order = [counted.points[index] for index in np.argsort(counted.losses)]
            assert [*best] == in_order
            assert [firsts[0], firsts[2]] == [in_order[0], plain[0]]
        else:
            assert firsts == plain


def test_a_related_study_informs_every_second_initial_trial_and_an_opposite_one_none():
    alone, related, opposite = (
        [suggest("bayes", space, history(number), number, 3) for number in (3, 4)]
        for space in (
            replace(SPACE, earlier=(earlier(n=19, unknown=SPACE.names),)),
            RELATED,
            OPPOSITE,
        )
    )
    assert related[0] == alone[0]
    assert related[1] != alone[1]
    assert opposite == alone


def test_a_suggestion_is_a_function_of_the_record_and_not_of_what_the_memos_hold():
    suggested = []
    for _ in range(2):
        fresh = replace(RELATED)
        assert not fresh.memo
        suggested.append(suggest("bayes", fresh, history(8), 8, 3))
        suggested.append(suggest("bayes", fresh, history(8), 8, 3))
    assert all(point == suggested[0] for point in suggested)
    assert suggested[0] != suggest("bayes", SPACE, history(8), 8, 3)


@pytest.mark.parametrize("surrogate", ["extra_trees"])
def test_a_forest_learns_from_earlier_studies_too(surrogate):
    point = suggest("bayes", RELATED, history(6), 6, 3, {"surrogate": surrogate})
    assert point is not None
    assert loss(point) < 0.1
