"""The process after the fantasies of many pending trials: against the whole process with all points."""

from __future__ import annotations

import numpy as np
import pytest

from tunecli.search.bo import gaussian_process, pending_process
from tunecli.search.bo.gaussian_process import MAX_EXACT_PENDING, GaussianProcess, _condition, fit_gp
from tunecli.search.bo.kernel import Floats, kernel_prior
from tunecli.search.bo.memo import Memo, content_key
from tunecli.search.bo.pending_process import PendingProcess, believing, with_block

GROUPS = np.array([0, 1, 1, 2])
N_MANY = MAX_EXACT_PENDING + 41


def process_of(n_kernels: int, n_points: int = 30) -> GaussianProcess:
    """A process under kernels around the prior's mean."""
    generator = np.random.default_rng(n_kernels)
    kernels = kernel_prior(3).mean_H - 1 + 0.3 * generator.standard_normal((n_kernels, 6))
    rows = generator.random((n_points, 4))
    values = np.sin(3 * rows[:, 0]) + rows[:, 1]
    return _condition(kernels, GROUPS, rows, np.tile(values, (n_kernels, 1)))


def refitted(process: GaussianProcess, rows: Floats) -> GaussianProcess:
    """The whole process after the fantasies, whatever their number."""
    values = np.hstack([process.values_SN, process.predict(rows)[0]])
    return _condition(process.kernels_SH, GROUPS, np.vstack([process.rows_NF, rows]), values)


def many(process: GaussianProcess, rows: Floats) -> PendingProcess:
    model = process.fantasize(rows)
    assert isinstance(model, PendingProcess)
    return model


@pytest.mark.parametrize("n_pending", [MAX_EXACT_PENDING + 1, MAX_EXACT_PENDING + 32, N_MANY])
def test_under_one_kernel_appended_blocks_equal_a_full_refit(n_pending: int) -> None:
    generator, process = np.random.default_rng(5), process_of(1)
    pending, new = generator.random((n_pending, 4)), generator.random((200, 4))
    mean, deviation = many(process, pending).predict(new)
    whole_mean, whole_deviation = refitted(process, pending).predict(new)
    np.testing.assert_allclose(mean, whole_mean, atol=1e-6)
    np.testing.assert_allclose(deviation, whole_deviation, rtol=1e-6)
    assert (deviation < process.predict(new)[1]).all()


def test_one_row_at_a_time_equals_one_block() -> None:
    generator, process = np.random.default_rng(6), process_of(1)
    pending, new = generator.random((20, 4)), generator.random((50, 4))
    one_by_one: tuple[pending_process.Block, ...] = ()
    for row in pending:
        one_by_one = with_block(process, one_by_one, row[None])
    whole = PendingProcess(process, with_block(process, (), pending))
    again = PendingProcess(process, with_block(process, (), pending[:9])).fantasize(pending[9:])
    for other in (PendingProcess(process, one_by_one), again):
        np.testing.assert_allclose(other.remaining_share(new), whole.remaining_share(new), rtol=1e-7)


def test_every_kernel_keeps_its_mean_and_gets_the_share_of_the_most_likely_one() -> None:
    generator, process = np.random.default_rng(7), process_of(3)
    pending, new = generator.random((N_MANY, 4)), generator.random((80, 4))
    model = many(process, pending)
    mean, deviation = model.predict(new)
    before_mean, before = process.predict(new)
    np.testing.assert_array_equal(mean, before_mean)
    np.testing.assert_allclose(model.mean(new), before_mean, rtol=1e-9, atol=1e-9)
    exact = refitted(process, pending).predict(new)[1]
    np.testing.assert_allclose(deviation[0], exact[0], rtol=1e-6)
    np.testing.assert_allclose((deviation / before)[1:], np.tile(exact[0] / before[0], (2, 1)), rtol=1e-6)


def test_of_very_many_pending_trials_those_with_the_lowest_means_count() -> None:
    generator, process = np.random.default_rng(8), process_of(2)
    pending = generator.random((640, 4))
    (base,) = believing(process, pending).blocks
    means = process.mean(pending).mean(axis=0)
    kept = np.array([(row == base.rows_PF).all(axis=1).any() for row in pending])
    assert kept.sum() == len(base.rows_PF) == 512
    assert means[kept].max() < means[~kept].min()
    np.testing.assert_array_equal(base.rows_PF, pending[kept])


def test_predictions_do_not_depend_on_what_the_memos_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of pending trials, after its predecessor and in a new process."""
    generator = np.random.default_rng(9)
    rows, new = generator.random((25, 4)), generator.random((40, 4))
    values, pending = np.sin(3 * rows[:, 0]), generator.random((N_MANY, 4))
    numbers = range(N_MANY - 12, N_MANY)

    def predicted(n_pending: int) -> list[Floats]:
        process = fit_gp(rows, values, GROUPS, 3, np.random.default_rng(1))
        model = many(process, pending[:n_pending])
        return [*model.predict(new), model.mean(pending[:n_pending])]

    kept = [predicted(n_pending) for n_pending in numbers]
    for n_pending, expected in zip(numbers, kept, strict=True):
        monkeypatch.setattr(gaussian_process, "_FITS", Memo(8))
        monkeypatch.setattr(pending_process, "_BASES", Memo(4))
        monkeypatch.setattr(pending_process, "_MEANS", Memo(8))
        for one, other in zip(predicted(n_pending), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_fit_from_the_memo_advances_the_generator_as_the_first_one_did() -> None:
    rows = np.random.default_rng(11).random((9, 4))
    first, again = np.random.default_rng(3), np.random.default_rng(3)
    processes = [fit_gp(rows, rows[:, 0] - 0.5, GROUPS, 2, generator) for generator in (first, again)]
    assert processes[0] is processes[1]
    assert first.random() == again.random() != np.random.default_rng(3).random()


def test_few_pending_trials_are_treated_exactly() -> None:
    generator, process = np.random.default_rng(10), process_of(2)
    pending, new = generator.random((MAX_EXACT_PENDING, 4)), generator.random((10, 4))
    expected = refitted(process, pending).predict(new)
    np.testing.assert_array_equal(process.fantasize(pending).predict(new), expected)


def test_a_memo_keeps_the_results_that_were_used_last() -> None:
    memo: Memo[int] = Memo(2)
    made: list[int] = []

    def get(key: int) -> int:
        def make() -> int:
            made.append(key)
            return 10 * key

        return memo.get(content_key(key), make)

    assert [get(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]


def test_keys_differ_with_shape_type_and_content() -> None:
    array = np.arange(6.0)
    parts = [array, array.reshape(2, 3), array.reshape(3, 2), array.astype(np.float32), array[::-1], 6, 6.0]
    keys = {content_key(part) for part in parts} | {content_key("6"), content_key(array, 6), content_key()}
    assert len(keys) == len(parts) + 3
    assert content_key(array.reshape(2, 3).T) == content_key(array.reshape(2, 3).T.copy())
