"""Exceptions become failures: the kind follows from type and text, and frames release the trial's objects."""

from __future__ import annotations

import errno
import weakref

import pytest
import torch

from tunecli.errors import UsageError
from tunecli.train.failures import MOST_CAUSE, MOST_TRACEBACK, bounded, failure_of
from tunecli.trial import Failure, FailureKind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), FailureKind.OOM),
        (MemoryError(), FailureKind.OOM),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), FailureKind.OOM),
        (RuntimeError("CUDA error: out of memory"), FailureKind.OOM),
        (torch.AcceleratorError("CUDA error: out of memory"), FailureKind.OOM),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), FailureKind.OOM),
        (RuntimeError("level_zero backend failed: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"), FailureKind.OOM),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), FailureKind.LOST),
        (torch.AcceleratorError("unspecified launch failure"), FailureKind.LOST),
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), FailureKind.LOST),
        (RuntimeError("HIP error: the operation cannot be performed"), FailureKind.LOST),
        (RuntimeError("level_zero backend failed: UR_RESULT_ERROR_DEVICE_LOST"), FailureKind.LOST),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), FailureKind.OOM),
        (OSError(errno.ENOENT, "No such file or directory"), FailureKind.ERROR),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.ERROR),
        (RuntimeError("an ownership error: nobody's"), FailureKind.ERROR),
        (ValueError("CUDA error: quoted by the user's code"), FailureKind.ERROR),
        (UsageError("no such device", hint="one of cpu"), FailureKind.ERROR),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_kind_of_a_failure_follows_from_type_and_text(error: Exception, kind: FailureKind) -> None:
    failure = failure_of(error)
    assert failure.kind is kind
    assert "\n" not in failure.cause


class Big:
    """An object that uses memory."""


def test_the_frames_of_an_error_and_its_causes_release_their_objects() -> None:
    found: list[weakref.ref[Big]] = []

    def first() -> None:
        big = Big()
        found.append(weakref.ref(big))
        raise ValueError("first")

    def second() -> None:
        big = Big()
        found.append(weakref.ref(big))
        try:
            first()
        except ValueError as error:
            raise RuntimeError("second") from error

    kept: BaseException | None = None
    try:
        second()
    except RuntimeError as error:
        kept = error
        failure = failure_of(error)
    assert kept is not None
    assert "in first" in failure.traceback and "in second" in failure.traceback
    assert [each() for each in found] == [None, None]


@pytest.mark.parametrize("beyond", [-1, 0, 1, 10**6])
def test_long_texts_keep_their_head_and_tail(beyond: int) -> None:
    def text(most: int) -> str:
        return "head" + "x" * (most + beyond - 8) + "tail"

    failure = bounded(Failure(FailureKind.ERROR, text(MOST_CAUSE), text(MOST_TRACEBACK)))
    for said, most in ((failure.cause, MOST_CAUSE), (failure.traceback, MOST_TRACEBACK)):
        assert said.startswith("head") and said.endswith("tail")
        assert len(said) == most + min(beyond, 0)
        assert ("characters" in said) is (beyond > 0)


def test_file_and_line_are_kept_for_any_length_of_text() -> None:
    try:
        raise ValueError("x" * 10**6)
    except ValueError as error:
        cause = bounded(failure_of(error)).cause
    assert len(cause) <= MOST_CAUSE
    assert cause.startswith("ValueError: xxx") and "(test_failures.py:" in cause[-25:]


def test_an_error_with_an_unreadable_text_becomes_data() -> None:
    class Unreadable(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("not me")

    failure = failure_of(Unreadable())
    assert failure.kind is FailureKind.ERROR
    assert failure.cause == "Unreadable: the error has no readable text"


@pytest.mark.parametrize("raised", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_error_whose_str_raises_is_reported_without_its_text(raised: type[BaseException]) -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise raised("no")

    assert failure_of(BrokenError()).cause == "BrokenError: the error has no readable text"
