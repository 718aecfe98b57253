"""Notes on a trial in which nothing is wrong: settings without effect, and results that may surprise.

Errors are `trial_problems`. For the user's own data, only notes that need no facts are given. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.data import Data
from tunecli.config.schema.learning_rate import Warmup
from tunecli.config.schema.losses import Bce, CrossEntropy, Focal, Huber, SmoothL1
from tunecli.config.schema.models import Linear, Tcn
from tunecli.config.schema.optimizers import AdamW
from tunecli.config.schema.user_code import UserCode
from tunecli.objective import Objective
from tunecli.train.chains import StepPosition, learning_rate
from tunecli.train.data.notes import listed
from tunecli.train.data.sources import DataFacts, facts_of
from tunecli.train.data.split_facts import split_facts
from tunecli.train.data.splits import is_plain
from tunecli.train.default_optimizer import default_decays
from tunecli.train.validation.chains import cut_notes
from tunecli.train.workload import sizes_of_parts, steps_once_an_epoch, steps_per_epoch

FEW_STEPS = 200
"""Optimizer steps below which a loss is likely still falling, with a step of the size of adam's at a rate of 1e-3.

Measured on the five bundled sets, two seeds each, with all settings but the model by default: 90 % of the fall of the
validation loss took `mlp` 36 to 138 steps, and 99 % took 48 to 600. `linear`, whose few weights move further, took 240
to 800 for 90 %. A larger rate takes fewer steps: at 1e-2, `mlp` took 6 to 14 and `linear` 48 to 162.

Of 60 trainings of `mlp` on ten sets, with a tenth, a third and all of the default length, the note was given to all 28
whose validation loss was still falling, and to 10 of the 32 others (`tests/benchmarks/defaults.py --part notes`).
"""

_LINEAR_FACTOR = 5
_ADAM_RATE = 1e-3
_ADAMS = ("adam", "adamw", "nadam", "radam", "adamax")  # each step is about as large as the rate
_FIRST_EPOCHS = 3
_ZERO_RATE = 1e-12  # as a fraction of the optimizer's own rate
_ASSUMED_STEPS = 100  # in an epoch, if their number is unknown


class TrialNote(NamedTuple):
    """One note.

    Attributes:
        topic: notes of one topic are shown once.
        text: the note, in one sentence.
        is_of_any: whether it is shown if it holds for only one trial among many.
    """

    topic: str
    text: str
    is_of_any: bool = True


def trial_notes(
    config: TrialConfig, objective: Objective, base_path: Path, study_seed: int = 0
) -> Iterator[TrialNote]:
    """Notes on a trial in which nothing is wrong.

    Args:
        config: the trial.
        objective: the goals and constraints.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split of the data.

    Raises:
        DataError: the data cannot be read or split.
    """
    facts = facts_of(config.data, base_path)
    n_train = None
    if facts is not None:
        n_train = min(n_train for n_train, _ in sizes_of_parts(config.data, facts, base_path, study_seed))
        yield from (TrialNote(text, text) for text in cut_notes(config, facts))
        yield from _reach(config, facts)
        yield from _batches(config, n_train)
        yield from _length(config, n_train)
        yield from _decay(config, facts, base_path, study_seed)
        yield from _unvalidated(config, facts, base_path, study_seed)
        yield from _unused_columns(config.data)
    yield from _rates(config, n_train)
    yield from _units(config, objective, facts)
    yield from _scores(config, objective)


def _reach(config: TrialConfig, facts: DataFacts) -> Iterator[TrialNote]:
    """A temporal convolutional network whose last step does not see the whole sequence."""
    model, n_steps = config.model, facts.inputs.shape[0]
    if isinstance(model, Tcn) and model.pool == "last" and model.n_steps_seen < n_steps:
        text = (
            f"the last step of tcn sees {model.n_steps_seen:,} steps of a sequence of {n_steps:,}: "
            "raise `model.kernel`, add to `model.channels`, or take `pool: mean`"
        )
        yield TrialNote("model.channels", text)


def _batches(config: TrialConfig, n_train: int) -> Iterator[TrialNote]:
    batch_size = config.training.batch_size
    is_set = "batch_size" in config.training.model_fields_set
    if is_set and isinstance(batch_size, int) and batch_size > n_train and not steps_once_an_epoch(config):
        text = (
            f"training.batch_size {batch_size:,} is more than the {n_train:,} training examples: "
            "each step takes all of them, as with `full`"
        )
        yield TrialNote("training.batch_size", text)


def _length(config: TrialConfig, n_train: int) -> Iterator[TrialNote]:
    if isinstance(config.optimizer, UserCode) or config.optimizer.needs_closure:
        return  # a step of lbfgs is many; of the user's own optimizer nothing is known
    needed: float = FEW_STEPS * (_LINEAR_FACTOR if isinstance(config.model, Linear) else 1)
    if config.optimizer.name in _ADAMS:
        needed *= min(1.0, _ADAM_RATE / config.optimizer.lr)
    n_steps = config.n_steps(steps_per_epoch(config, n_train))
    if n_steps < needed:
        steps = f"{n_steps:,} optimizer step" + ("" if n_steps == 1 else "s")
        text = (
            f"a trial takes {steps}, so the loss is likely still falling when it ends (about {needed:,.0f} are "
            "needed at this rate); raise `training.epochs`, or take smaller batches"
        )
        yield TrialNote("training.epochs", text, is_of_any=False)


def _decay(config: TrialConfig, facts: DataFacts, base_path: Path, study_seed: int) -> Iterator[TrialNote]:
    """The weight decay that tunecli chooses where the file names no optimizer."""
    if decays := default_decays(config, facts, base_path, study_seed):
        usual = AdamW().weight_decay
        lowest, highest = (f"{end:.3g}" for end in (min(decays), max(decays)))
        chosen = lowest if lowest == highest else f"{lowest} to {highest}"
        text = (
            f"the table is small and its target is noisy, so the default optimizer has the weight decay {chosen}, "
            f"not {usual:g}; `optimizer: adamw` takes {usual:g}"
        )
        yield TrialNote("optimizer.weight_decay", text)


def _rates(config: TrialConfig, n_train: int | None) -> Iterator[TrialNote]:
    """Epochs that train at rate 0: the first ones of the run, or of a link."""
    chain = config.learning_rate
    if not chain:
        return
    n_per_epoch = steps_per_epoch(config, n_train) if n_train is not None else _assumed_steps(config)
    n_steps = config.n_steps(n_per_epoch)
    begins = sorted({0, *(link.from_epoch for link in chain)})
    state = learning_rate.begin(chain)
    for epoch in dict.fromkeys(begin + later for begin in begins for later in range(_FIRST_EPOCHS)):
        first, last = epoch * n_per_epoch, min((epoch + 1) * n_per_epoch, n_steps) - 1
        if first > last:
            continue
        moments = (StepPosition(step, n_per_epoch, n_steps) for step in {first, (first + last) // 2, last})
        if all(learning_rate.rate(chain, state, 1.0, now) <= _ZERO_RATE for now in moments):
            has_start_of_0 = any(isinstance(link, Warmup) and link.start == 0 for link in chain)
            hint = (
                "without `start`, a warmup begins above 0"
                if has_start_of_0
                else "look at the chain's first links"
            )
            text = f"learning_rate: the rate is 0 throughout epoch {epoch + 1}, so that epoch trains nothing ({hint})"
            yield TrialNote("learning_rate", text)
            return


def _assumed_steps(config: TrialConfig) -> int:
    is_one = config.training.batch_size == "full" or steps_once_an_epoch(config)
    return 1 if is_one else _ASSUMED_STEPS


def has_scaled_target(config: TrialConfig, base_path: Path) -> bool:
    """Whether a trial's losses are on a target that is divided by the standard deviation of its training examples.

    For the user's own data, whose values may decide the task: True unless the loss or the task rules it out.

    Raises:
        DataError: the data cannot be read.
    """
    if getattr(config.loss, "is_of_counts", False):
        return False
    facts = facts_of(config.data, base_path)
    if facts is not None:
        return facts.task == "regression"
    is_of_classes = config.loss is not None and not (
        isinstance(config.loss, UserCode) or "regression" in config.loss.tasks
    )
    return config.data.task != "classification" and not is_of_classes


def _units(config: TrialConfig, objective: Objective, facts: DataFacts | None) -> Iterator[TrialNote]:
    """Losses, and parameters of losses, that are not in the target's own units."""
    if facts is None or facts.task != "regression" or getattr(config.loss, "is_of_counts", False):
        return
    for metric in {"val_loss", "train_loss"} & {*objective.metrics}:
        text = f"{metric} is on the standardised target; val_mae and val_rmse are in the target's own units"
        yield TrialNote(metric, text)
    if isinstance(config.loss, Huber | SmoothL1):
        for key in {"delta", "beta"} & config.loss.model_fields_set:
            text = f"loss.{key} is in standard deviations of the target, like the losses"
            yield TrialNote(f"loss.{key}", text)


def _scores(config: TrialConfig, objective: Objective) -> Iterator[TrialNote]:
    """Scores that contain more than their name says."""
    if "val_f1" in objective.metrics:
        is_multilabel = config.data.task == "multilabel"
        of = "label's F1" if is_multilabel else "class's F1, also with two classes"
        yield TrialNote("val_f1", f"val_f1 is the macro average: the mean of each {of}")
    if objective.tunes_threshold:
        text = "`threshold: auto` is tuned on the validation part, which makes its scores optimistic"
        yield TrialNote("threshold", f"{text}; `data.test` shows an honest one")
    loss = config.loss
    parts = []
    if isinstance(loss, CrossEntropy | Bce) and loss.label_smoothing:
        parts.append("label_smoothing")
    if isinstance(loss, Focal):
        parts.append("gamma")
    if getattr(loss, "class_weights", []):
        parts.append("class_weights")
    if parts and "val_loss" in objective.metrics:
        text = f"val_loss is the loss that is trained, with its {' and '.join(parts)}: not the plain cross entropy"
        yield TrialNote("val_loss", text)


def _unvalidated(
    config: TrialConfig, facts: DataFacts, base_path: Path, study_seed: int
) -> Iterator[TrialNote]:
    """Notes on classes and labels that no example of a part has; of parts of single rows, only rare classes lack."""
    split = split_facts(config.data, facts, base_path, study_seed)
    if is_plain(config.data, facts.task) or not facts.class_names:
        return
    for part, classes in (("validation", split.classes), ("training", split.trained_labels)):
        present = frozenset.intersection(*classes) if classes else frozenset(range(len(facts.class_names)))
        absent = [name for number, name in enumerate(facts.class_names) if number not in present]
        if not absent:
            continue
        nouns = ("label", "labels") if facts.task == "multilabel" else ("class", "classes")
        where = f"the {part} part" if len(classes) == 1 else f"the {part} part of some fold"
        text = f"{where} has no example of the {nouns[len(absent) > 1]} {listed(absent)}"
        yield TrialNote(text, text)


def _unused_columns(data: Data) -> Iterator[TrialNote]:
    """Notes on groups, times and marks that are named and do not split the data."""
    kinds = {part.by for part in (data.validation, data.test) if part is not None}
    are_series = data.series is not None  # the groups of a time series are its series
    if (
        not are_series
        and data.validation.file is None
        and data.columns.group
        and not kinds & {"column", "group"}
    ):
        text = "rows of one group may be in two parts: `by: group` keeps the groups of data.columns.group together"
        yield TrialNote(text, text)
    if data.validation.file is None and data.columns.time and "time" not in kinds:
        text = (
            "data.columns.time does not split the data: later rows may train for earlier ones; see `by: time`"
        )
        yield TrialNote(text, text)
    if data.validation.by in ("group", "time") and data.test and data.test.fraction and data.test.by == "row":
        by = data.validation.by
        text = f"the test part is of single rows, and validation is by {by}: write `test: {{by: {by}}}` to test alike"
        yield TrialNote(text, text)
    if data.columns.split and "column" not in kinds:
        text = (
            "data.columns.split does not split the data, so rows marked `test` may train; write "
            "`validation: {by: column}`, or `test: {by: column}`"
        )
        yield TrialNote(text, text)
