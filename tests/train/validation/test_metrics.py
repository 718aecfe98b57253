"""A metric that does not fit the data is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.commands.check import load_checked
from tunecli.errors import ConfigError

NUMBERS = "x,y\n" + "".join(f"{n},{n * 1.5 - 3}\n" for n in range(40))


def problem_of(folder: Path, objective: str, data: str) -> tuple[str, str]:
    """The only problem of a study: its parameter, and its message with its hint."""
    (folder / "numbers.csv").write_text(NUMBERS)
    (folder / "few.csv").write_text("x,y\n" + "a,0\nb,1\n" * 20)
    (folder / "valid.csv").write_text("x,y\na,0\nb,0\n")
    path = folder / "study.yaml"
    path.write_text(
        f"objective: {objective}\ntrial: {{data: {data}, optimizer: {{name: sgd, lr: {{loguniform: [1e-3, 1]}}}}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_checked(path, ())
    (problem,) = caught.value.problems
    assert problem.line == 1
    return problem.parameter, f"{problem.message}; {problem.hint}"


CANCER, IRIS, SUGAR = "{source: breast_cancer}", "{source: iris}", "{source: diabetes}"
FEW = "{source: few.csv, target: y, validation: {file: valid.csv}}"
NEGATIVE = "{source: numbers.csv, target: y, task: regression}"


@pytest.mark.parametrize(
    ("objective", "data", "parameter", "message"),
    [
        ("{metric: val_rmse}", IRIS, "objective.metric", "the nearest is val_brier"),
        ("{metric: val_accuracy}", SUGAR, "objective.metric", "the nearest is val_r2"),
        ("{metric: val_kappa_linear}", SUGAR, "objective.metric", "has no val_kappa_linear"),
        (
            "{metric: val_loss, subject_to: {val_pinball_0.9: '<= 3'}}",
            IRIS,
            "objective.subject_to.val_pinball_0.9",
            "has no val_pinball_0.9",
        ),
        ("{metric: val_loss, also: [val_mcc, val_mape]}", IRIS, "objective.also.1", "has no val_mape"),
        ("{metric: val_top_3}", IRIS, "objective.metric", "always 1: the data has 3 classes; at most 2"),
        ("{metric: val_top_5}", CANCER, "objective.metric", "use val_accuracy"),
        ("{metric: val_f1_binary}", IRIS, "objective.metric", "needs two classes, but the data has 3"),
        (
            "{metric: {name: val_f1, positive: malign}}",
            CANCER,
            "objective.metric",
            "has no class `malign`; did you mean `malignant`?",
        ),
        (
            "{metric: {name: val_recall, positive: 1}}",
            CANCER,
            "objective.metric",
            "the classes are malignant, benign",
        ),
        ("{metric: val_mcc}", FEW, "objective.metric", "all 2 validation examples have one class"),
        (
            "{metric: {name: val_f1, positive: 1}}",
            FEW,
            "objective.metric",
            "no validation example has the class `1`",
        ),
        ("{metric: val_mape}", NEGATIVE, "objective.metric", "not defined where a target is 0"),
        ("{metric: val_rmsle}", NEGATIVE, "objective.metric", "needs targets of at least 0, but one is -3"),
    ],
)
def test_a_metric_that_does_not_fit_the_data_is_refused(
    tmp_path: Path, objective: str, data: str, parameter: str, message: str
) -> None:
    found, text = problem_of(tmp_path, objective, data)
    assert found == parameter
    assert message in text
