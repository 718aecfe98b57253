"""Data knobs that do not fit the data, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.config.schema.augmentations import Crop, Cutout, Flip, Mixup
from tunecli.errors import DataError
from tunecli.train.data.sources import read_test, require_test
from tunecli.train.data.stamps import stamps_of
from tunecli.train.validation.case import Case, Complaint, Rule


def _text(case: Case) -> Iterator[Complaint]:
    data = case.config.data
    for key in ("max_length", "max_tokens"):
        if data.text is None and key in data.model_fields_set:
            yield Complaint(f"data.{key}", "it bounds what is read of texts", "name their column: `text`")


def _files(case: Case) -> Iterator[Complaint]:
    """Whether all that is read is there, and a test file has the columns and classes that training has.

    A file that does not go with the rest is worth telling before a search is spent on it; no trial is given its rows.
    """
    test = case.config.data.test
    for require in (stamps_of, read_test if test is not None and test.file is not None else require_test):
        try:
            require(case.config.data, case.base_path)
        except DataError as error:
            yield Complaint(error.parameter, error.message, error.hint)


def _mixups(case: Case) -> Iterator[Complaint]:
    numbers = [number for number, each in enumerate(case.config.data.augment) if isinstance(each, Mixup)]
    for number in numbers[1:]:
        yield Complaint(f"data.augment.{number}", "a batch is mixed once", "keep one mixup")


def _augmentation(case: Case) -> Iterator[Complaint]:
    for number, augmentation in enumerate(case.config.data.augment):
        parameter = f"data.augment.{number}"
        if case.facts.inputs.kind == "tokens":
            message = f"{augmentation.name} varies numbers, and the data has tokens"
            yield Complaint(parameter, message, "drop it")
        elif isinstance(augmentation, Flip | Crop | Cutout):
            yield from _of_images(augmentation, case, parameter)


def _of_images(augmentation: Flip | Crop | Cutout, case: Case, parameter: str) -> Iterator[Complaint]:
    if case.facts.inputs.kind != "image":
        others = "noise, mask and mixup fit other inputs"
        yield Complaint(parameter, f"{augmentation.name} needs images", others)
        return
    side = min(case.facts.inputs.shape[1:])
    if isinstance(augmentation, Crop) and augmentation.pixels >= side:
        message = f"a shift of {augmentation.pixels} pixels can empty an image of {side}"
        yield Complaint(f"{parameter}.pixels", message, f"at most {side - 1}")
    if isinstance(augmentation, Cutout) and augmentation.size > side:
        message = f"a square of {augmentation.size} pixels is larger than the image, {side}"
        yield Complaint(f"{parameter}.size", message, f"at most {side}")


def _balance(case: Case) -> Iterator[Complaint]:
    if case.config.data.balance != "none" and case.facts.task != "classification":
        yield Complaint("data.balance", "only classes can be balanced", "drop `balance`")


RULES: tuple[Rule, ...] = (_text, _files, _mixups, _augmentation, _balance)
