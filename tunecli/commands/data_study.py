"""The text of a study's file for a person's own data, with a reason beside each decision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tunecli.commands.data_plan import DataPlan
from tunecli.config.json_schema import MODELINE
from tunecli.config.range_lines import flow
from tunecli.text import counted, sanitize

_IMBALANCED = 0.9
_UNEVEN = 0.7
_MANY_CATEGORIES, _FOLDS = 8, 4
_FEW_ROWS, _SOME_ROWS, _MANY_ROWS = 500, 5_000, 50_000
_DROPOUT = "dropout: {uniform: [0.0, 0.5]}"
_MODELS = {
    "features": (
        f"{{name: mlp, width: {{choice: WIDTHS}}, depth: {{int: [1, 3]}}, {_DROPOUT}}}",
        f"{{name: tabular_resnet, width: {{choice: WIDTHS}}, blocks: {{int: [1, 3]}}, {_DROPOUT}}}",
    ),
    "image": (
        f"{{name: cnn, channels: [16, 32, 32], norm: {{choice: [group, batch]}}, {_DROPOUT}}}",
        "{name: resnet, channels: [16, 32], blocks: {int: [1, 2]}}",
    ),
    "sequence": (
        f"{{name: gru, width: {{choice: [16, 32, 64]}}, {_DROPOUT}}}",
        f"{{name: tcn, channels: [32, 32], {_DROPOUT}}}",
    ),
}
"""By the kind of inputs, the options of the model."""
_TEXT_MODELS = (
    "{name: linear, embedding: {choice: [16, 32]}}",
    f"{{name: gru, embedding: 16, width: {{choice: [16, 32]}}, {_DROPOUT}}}",
    f"{{name: tcn, embedding: 16, channels: [32, 32], pool: mean, {_DROPOUT}}}",
)


def study_text(plan: DataPlan) -> str:
    """The whole file as YAML, which `tunecli check` accepts as far as the data allows."""
    summary = plan.summary
    kind = summary.inputs.kind if summary.inputs is not None else "features"
    lines = [
        MODELINE,
        f"# {sanitize(plan.source)}: {counted(summary.n_examples, 'example')}, {summary.task}.",
        "# Any value under `trial` may be a range in place of a value.",
        "# `tunecli check FILE` shows how each column is read, `tunecli search FILE` runs the study.",
        f"study: {_study_name(plan.source)}",
        "seed: 7",
        *_objective(plan),
        "",
        "trial:",
        "  data:",
        *_data(plan),
        *_model(plan, kind),
        *_training(plan, kind),
        "",
        "search: {sampler: bayes, trials: 30}",
        "run: {device: auto, workers: auto}",
        "",
    ]
    return "\n".join(lines)


def _study_name(source: str) -> str:
    stem = Path(source.rstrip("/")).name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:48]
    return name if name and name[0].isalnum() and not name.isdigit() else f"study-{name}".strip("-")


def _because(text: str) -> str:
    return f"    # {sanitize(text)}"


def _objective(plan: DataPlan) -> Iterator[str]:
    summary = plan.summary
    if summary.task == "regression":
        metric, why = "val_rmse", "the root of the mean squared error, in the target's unit"
        if plan.has_outliers:
            metric, why = "val_mae", "the target has outliers, which the mean absolute error weighs less"
        yield f"objective: {{metric: {metric}}}" + _because(why)
        return
    if summary.task == "multilabel":
        yield "objective: {metric: val_f1, threshold: auto}" + _because("the mean over the labels")
        return
    counts = [n for _, n in summary.class_counts]
    share = max(counts) / max(1, sum(counts))
    if share >= _IMBALANCED and len(counts) == 2:
        why = f"{share:.0%} of the examples are of one class, so accuracy says little"
        yield "objective: {metric: val_average_precision}" + _because(why)
    elif share >= (_UNEVEN if len(counts) == 2 else 2 / max(2, len(counts))) and share > 0.5:
        yield "objective: {metric: val_balanced_accuracy}" + _because(
            f"{share:.0%} of the examples are of one class"
        )
    else:
        yield "objective: {metric: val_accuracy}"


def _data(plan: DataPlan) -> Iterator[str]:
    summary = plan.summary
    if plan.source.endswith("/"):
        yield f"    source: {{name: images, path: {flow(plan.source)}, size: 32}}" + _because(
            "32 x 32 pixels"
        )
    else:
        yield f"    source: {flow(plan.source)}" + _because("relative to this file")
    if plan.source.endswith(".npz"):
        yield "    # `inputs: sequence` reads an array (examples, steps, features) as sequences, not as images."
    if plan.target:
        yield f"    target: {flow(plan.target)}"
    if plan.task[0]:
        yield f"    task: {plan.task[0]}" + _because(plan.task[1])
    if plan.text:
        yield f"    text: {flow(plan.text)}" + _because("the column of texts")
        if plan.has_further_columns:
            yield "    text_with_columns: true" + _because("the other columns are inputs too")
        yield f"    tokens: {plan.tokens}"
        yield "    lowercase: true"
        yield f"    max_length: {plan.max_length}" + _because("longer texts are cut")
    yield from _columns(plan)
    yield from _validation(plan)
    if summary.missing and any("median" in one.rule for one in summary.missing):
        why = f"numbers are missing in {counted(len(summary.missing), 'column')}"
        yield "    missing_indicators: {choice: [false, true]}" + _because(why)
    if plan.is_skewed and not plan.text:
        yield "    normalize: {choice: [standard, quantile]}" + _because("some columns are skewed")
    if plan.needs_embedding:
        yield "    categories: embedding" + _because("a column has too many categories for an input each")
    elif not plan.text and any(n >= _MANY_CATEGORIES for _, n in summary.n_categories):
        most, n = max(summary.n_categories, key=lambda one: one[1])
        why = f"'{most}' has {n:,} categories"
        yield "    categories: {choice: [one_hot, embedding]}" + _because(why)
    if plan.source.endswith("/"):
        yield "    augment: {choice: [[], [{rotation: {degrees: 10}}]]}"


def _columns(plan: DataPlan) -> Iterator[str]:
    if not (plan.id or plan.drop or plan.types):
        return
    yield "    columns:"
    if plan.id:
        yield f"      id: {flow(plan.id)}" + _because(
            "names the rows; no model sees it, and predictions repeat it"
        )
    if plan.drop:
        yield "      drop:"
        yield from (f"        - {flow(name)}" + _because(why) for name, why in plan.drop.items())
    if plan.types:
        yield "      types:"
        yield from (
            f"        {flow(name)}: {kind}" + _because(why) for name, (kind, why) in plan.types.items()
        )


def _validation(plan: DataPlan) -> Iterator[str]:
    summary = plan.summary
    is_small = summary.n_examples < 2_000
    least = (
        min((n for _, n in summary.class_counts), default=_FOLDS)
        if summary.task == "classification"
        else _FOLDS
    )
    is_folded = is_small and least >= _FOLDS and not plan.text and not plan.source.endswith("/")
    way = f"folds: {_FOLDS}" if is_folded else "fraction: 0.25" if is_small else "fraction: 0.2"
    stratified = "" if summary.task == "regression" else "stratified by class"
    yield f"    validation: {{{way}}}" + (_because(stratified) if stratified else "")
    if summary.dates:
        date = summary.dates[0][0]
        yield f"    # If the model will predict later rows than these, validate on the latest: {flow({'by': 'time'})}"
        yield f"    # with {flow({'columns': {'time': date}})}, in place of random rows."
    if plan.group:
        yield f"    # If new rows have new values of '{sanitize(plan.group)}', keep each in one part: {{by: group}}"
        yield f"    # with {flow({'columns': {'group': plan.group}})}."


def _model(plan: DataPlan, kind: str) -> Iterator[str]:
    is_small = plan.summary.n_examples < _FEW_ROWS
    widths = "[16, 32, 64]" if is_small else "[32, 64, 128]"
    yield "  model:"
    yield "    choice:" + _because("each option has parameters of its own")
    yield from (f"      - {option.replace('WIDTHS', widths)}" for option in _MODELS.get(kind, _TEXT_MODELS))


def _training(plan: DataPlan, kind: str) -> Iterator[str]:
    n = plan.summary.n_examples
    sizes = next(
        (
            text
            for most, text in ((_FEW_ROWS, "[16, 32]"), (_SOME_ROWS, "[32, 64]"), (_MANY_ROWS, "[128, 256]"))
            if n < most
        ),
        "[512, 1024]",
    )
    yield "  optimizer:"
    yield "    name: adamw"
    yield "    lr: {loguniform: [3e-4, 3e-2], default: 3e-3}" + _because("the first trial takes the default")
    yield "    weight_decay: {loguniform: [1e-5, 1e-1]}"
    yield "  learning_rate:"
    yield "    - {cosine: {to: 0.0}}"
    clip = "" if kind in ("features", "image") else ", grad_clip: {norm: 1.0}"
    yield f"  training: {{batch_size: {{choice: {sizes}}}{clip}}}" + _because(
        "the number of epochs follows from the data"
    )
