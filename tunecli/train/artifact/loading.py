"""From the bytes of a model file to a `TrainedModel`: every size and type is checked before it is used.

Nothing is unpickled, and no code is run except that of this program, of installed plug-ins, and of a folder that the
caller names.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.user_code import UserCode
from tunecli.config.secrets import resolved
from tunecli.errors import UsageError, os_reason
from tunecli.seeding import seed_for
from tunecli.train import devices
from tunecli.train.artifact.layout import damaged, facts_of
from tunecli.train.artifact.model import FoldModel, TrainedModel
from tunecli.train.artifact.plain import Json, NotStorable, decode
from tunecli.train.artifact.writing import DERIVED, SHAPES, ModelFacts, examples_fields, stored_fields
from tunecli.train.data.loading import Fold, Placement, number_or_tensor
from tunecli.train.data.preparation import Preparation
from tunecli.train.evaluation import Evaluator
from tunecli.train.losses import TargetScale, build_loss
from tunecli.train.main_memory import require_memory
from tunecli.train.models import build

_UNSOUND = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)
"""The errors of values in a file that contradict each other; `NotStorable` is a `ValueError`."""


def load_model(
    path: str | Path, *, device: str | None = None, code: str | Path | None = None
) -> TrainedModel:
    """Load a trained model from its file.

    Args:
        path: a file of `tunecli export RUN --model FILE`.
        device: where it computes: ``auto``, ``cpu``, ``cuda:1``, …; None: where it was trained, or on the CPU if this
            machine has no such device.
        code: the folder of the user's own code, for a model that is such code; its modules are imported.

    Returns:
        The model; its `TrainedModel.predict` takes new rows.

    Raises:
        UsageError: the file cannot be read, is no sound model file, was written by a later version, or needs the
            user's own code.

    Example:
        >>> model = tunecli.load_model("model.safetensors")  # doctest: +SKIP
        >>> model.predict({"age": [31, 40], "city": ["Rome", "Oslo"]})  # doctest: +SKIP
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {os_reason(error)}") from error
    except MemoryError as error:
        raise UsageError(f"{path} does not fit into memory") from error
    return model_of(content, str(path), device=device, code=None if code is None else Path(code))


def model_of(
    content: bytes, name: str, *, device: str | None = None, code: Path | None = None
) -> TrainedModel:
    """The model in the bytes of a model file; see `load_model`. ``name`` is the file's name, for errors."""
    entry = facts_of(content, name)
    try:
        tensors = safetensors.torch.load(content)
        prefix = entry["arrays"]
        arrays = {key: np.array(one) for key, one in _numpy(tensors, prefix).items()}
        facts = decode(entry["facts"], ModelFacts, "facts", arrays)
        _require_counts(facts)
        nodes = entry["folds"]
        if not isinstance(nodes, list) or len(nodes) != facts.n_folds:
            raise NotStorable(f"it does not hold {facts.n_folds} folds")
        stored = [_stored(node, number, arrays) for number, node in enumerate(nodes)]
        weights = _by_model(tensors, prefix, facts)
        config = _config(entry["config"], name, facts)
        placement = Placement(_device(device, facts))
        folds = [_fold({"schema": stored[0]["schema"], **one}, placement) for one in stored]
    except _UNSOUND as error:
        raise damaged(name, str(error) or type(error).__name__) from error
    if isinstance(config.model, UserCode) and code is None:
        raise UsageError(
            f"the model of {name} is your own code, `{config.model.python}`, which a model file does not hold",
            hint="name the folder of that code: load_model(path, code=FOLDER), or --code FOLDER",
        )
    try:
        models = [
            _fold_model(config, facts, folds[number % facts.n_folds], own, number, code)
            for number, own in enumerate(weights)
        ]
    except _UNSOUND as error:
        raise damaged(name, f"its weights do not fit its model: {error}") from error
    return TrainedModel(config, facts, models)


def _numpy(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, NDArray[Any]]:
    return {key: tensor.numpy() for key, tensor in tensors.items() if key.startswith(prefix)}


def _stored(node: Json, number: int, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The facts of one fold. Its schema is absent if it is the first fold's."""
    hints = stored_fields()
    if not isinstance(node, dict):
        raise NotStorable(f"fold {number} is not a map")
    shapes = decode(node.get(SHAPES), Mapping[str, tuple[int, ...]], SHAPES, arrays)
    if unknown := sorted({*node, *shapes} - {*hints, *examples_fields(), SHAPES}):
        raise NotStorable(f"fold {number} has the unknown field `{unknown[0]:.40}`")
    fold = {
        key: decode(one, hints[key], f"folds/{number}/{key}", arrays)
        for key, one in node.items()
        if key != SHAPES
    }
    fold |= dict.fromkeys(examples_fields())
    fold |= {key: torch.zeros((0, *shape)) for key, shape in shapes.items()}
    if fold.get("schema") is None:
        if number == 0:
            raise NotStorable("it lacks the columns of the training data")
        del fold["schema"]
    if not isinstance(fold.get("preparation"), Preparation):
        raise NotStorable("it lacks the preparation of rows")
    return {**fold, **{key: number_or_tensor(getattr(fold["preparation"], key)) for key in DERIVED}}


def _fold(stored: Mapping[str, Any], placement: Placement) -> Fold:
    """The fold, without examples.

    Raises:
        ValueError: its classes or columns disagree with its model's outputs or inputs.
    """
    fold = Fold(**{**stored, "placement": placement})
    if fold.task != "regression" and len(fold.class_names) != fold.n_outputs:
        raise ValueError(f"it names {len(fold.class_names)} classes, but has {fold.n_outputs} outputs")
    n_inputs = fold.inputs.shape[0 if fold.inputs.kind == "image" else -1]
    if fold.inputs.kind != "tokens" and _n_prepared(fold) != n_inputs:
        raise ValueError(f"it prepares {_n_prepared(fold)} inputs, but its model has {n_inputs}")
    return fold


def _n_prepared(fold: Fold) -> int:
    """The number of values that the preparation gives for a row, or of an image's channels."""
    assert fold.schema is not None
    assert fold.preparation is not None
    numbers, categories = fold.preparation.numbers, fold.preparation.categories
    if len(categories.values) != len(fold.schema.text):
        raise ValueError("its columns of text are not those of its preparation")
    n_of_text = sum(1 if categories.are_codes else len(values) for values in categories.values)
    return len(numbers.scale) + int(numbers.is_indicated.sum()) + n_of_text + fold.inputs.text_length


def _require_counts(facts: ModelFacts) -> None:
    for name in ("n_folds", "n_repeats", "threads", "rows_per_pass"):
        if not 1 <= getattr(facts, name) <= 1_000_000:
            raise NotStorable(f"{name} is {getattr(facts, name)}, but must be from 1 to 1,000,000")


def _by_model(tensors: Mapping[str, Tensor], prefix: str, facts: ModelFacts) -> list[dict[str, Tensor]]:
    """The weights of each network."""
    weights = {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix)}
    n_models = facts.n_folds * facts.n_repeats
    if n_models > max(1, len(weights)):
        raise NotStorable(f"it cannot hold {n_models} models")
    if n_models == 1:
        return [weights]
    models: list[dict[str, Tensor]] = [{} for _ in range(n_models)]
    for key, tensor in weights.items():
        model, _, own = key.partition(".")
        models[int(model.removeprefix("model"))][own] = tensor
    return models


def _config(tree: Json, name: str, facts: ModelFacts) -> TrialConfig:
    """The trial. Variables of the environment are only needed where they decide the model."""
    if not isinstance(tree, dict) or trial_model(tree) is not TrialConfig:
        raise NotStorable("it holds no trial of a network")
    with suppress(UsageError):
        tree = resolved(tree)
    try:
        return TrialConfig.model_validate(tree)
    except (ValidationError, RecursionError) as error:
        problem = (
            error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "it is too deep"}
        )
        place = ".".join(map(str, problem["loc"]))
        raise UsageError(
            f"the trial in {name} is not valid here: {place}: {problem['msg']}",
            hint=f"tunecli {facts.tunecli} wrote it; a plug-in that it uses may be missing",
        ) from error


def _device(asked: str | None, facts: ModelFacts) -> torch.device:
    """The device of this name; without a name the one that computed the score, if this machine has it."""
    if asked is not None:
        return devices.resolve(asked)
    try:
        return devices.resolve(facts.device)
    except UsageError:
        return torch.device("cpu")


def _fold_model(
    config: TrialConfig,
    facts: ModelFacts,
    fold: Fold,
    weights: Mapping[str, Tensor],
    number: int,
    code: Path | None,
) -> FoldModel:
    device = fold.placement.device
    repeat, fold_number = divmod(number, facts.n_folds)
    own_seed = seed_for(facts.seed, "repeat", repeat) if repeat else facts.seed
    names = (fold_number,) if facts.n_folds > 1 else ()
    if code is None:
        _require_sizes(config, fold, weights)
    seed = seed_for(own_seed, "build", *names)
    module = build(config.model, fold.inputs, fold.n_outputs, code or Path(), seed, has_trained_weights=False)
    # A copy into the module's own memory: tensors of a file are not aligned, and the order of a sum can depend on it.
    module.load_state_dict(dict(weights))
    module.to(device)
    if config.training.channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.eval().requires_grad_(False)
    loss = None
    if not isinstance(config.loss, UserCode):
        target = TargetScale(fold.target_center, fold.target_scale)
        loss = build_loss(config.loss, fold.task, target=target)
    seed = seed_for(own_seed, "examine", *names)
    return FoldModel(fold, Evaluator(config, fold, module, module, facts.rows_per_pass, seed, loss))


def _require_sizes(config: TrialConfig, fold: Fold, weights: Mapping[str, Tensor]) -> None:
    """Compare the weights with the model's shape before any memory is allocated for it.

    Raises:
        ValueError: a weight is missing, superfluous, or of another shape.
        DataError: the model does not fit into memory.
    """
    with torch.device("meta"):
        module = build(config.model, fold.inputs, fold.n_outputs, has_trained_weights=False)
    expected = {key: tuple(one.shape) for key, one in module.state_dict().items()}
    given = {key: tuple(one.shape) for key, one in weights.items()}
    for key in sorted(expected.keys() | given.keys()):
        if expected.get(key) != given.get(key):
            raise ValueError(f"`{key}` has the shape {given.get(key)}, not {expected.get(key)}")
    n_bytes = sum(one.nbytes for one in (*module.parameters(), *module.buffers()))
    require_memory(n_bytes, "the model", "model")
