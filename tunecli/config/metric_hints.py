"""The message for an unknown metric, with the built-in metric that the name means in other libraries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from tunecli.config.metric_names import example_names
from tunecli.config.metrics import METRICS, Setting
from tunecli.config.suggestions import nearest
from tunecli.text import short_repr

_VERY_NEAR = 0.8  # a metric that is only somewhat alike is another one
_ELSEWHERE = {
    "acc": "val_accuracy",
    "bacc|balanced_acc": "val_balanced_accuracy",
    "auc|roc_auc|rocauc|roc_auc_score": "val_auroc",
    "ap|auprc|pr_auc|aucpr|prauc|average_precision_score": "val_average_precision",
    "f1_score|f1_macro|macro_f1": "val_f1",
    r"f1_?(micro|weighted|binary)|(micro|weighted)_f1": r"val_f1_\1",
    "precision_score|precision_macro": "val_precision",
    "recall_score|recall_macro|sensitivity|tpr": "val_recall",
    "matthews_corrcoef|matthews|phi": "val_mcc",
    "cohen_kappa|cohen_kappa_score|cohens_kappa": "val_kappa",
    "qwk|quadratic_weighted_kappa|quadratic_kappa": "val_kappa_quadratic",
    r"(?:top|acc@|acc|top_)([2-9]|[1-9][0-9])(?:_?acc(?:uracy)?)?": r"val_top_\1",
    "top_k_accuracy|top_k_accuracy_score|topk": "val_top_5",
    "logloss|nll|cross_entropy|ce": "val_log_loss",
    "brier_score|brier_score_loss": "val_brier",
    "ece|calibration|expected_calibration_error": "val_calibration_error",
    "r2_score": "val_r2",
    "mse|mean_squared_error|root_mean_squared_error": "val_rmse",
    "mean_absolute_error": "val_mae",
    "medae|mdae|median_ae": "val_median_absolute_error",
    "mean_absolute_percentage_error": "val_mape",
    "mean_squared_log_error": "val_msle",
    "root_mean_squared_log_error": "val_rmsle",
    "pinball_loss|mean_pinball_loss|quantile_loss": "val_pinball",
    "spearmanr|spearman_r|rank_correlation": "val_spearman",
    "max_err|maximum_error": "val_max_error",
    "loss": "val_loss",
}
"""By the pattern of a name in other libraries, without its part of the data: the metric that it means."""


def unknown_metric(name: str, known: Sequence[str]) -> str:
    """The message for a name that is no metric, with the metric that it may mean."""
    if name in METRICS:
        return f"`{name}` needs a setting; write `{example_names(name)[0]}`"
    word = name.lower().removeprefix("val_").removeprefix("test_")
    for pattern, meant in _ELSEWHERE.items():
        if match := re.fullmatch(pattern, word):
            return f"unknown metric `{name}`; did you mean `{match.expand(meant)}`?"
    ended = [one for one in known if one.endswith((f"_{name}", f"_{word}"))]
    with_settings = [one for base in METRICS for one in example_names(base)]
    near = f"did you mean `{ended[0]}`?" if ended else nearest(name, [*known, *with_settings], _VERY_NEAR)
    return f"unknown metric `{name}`; {near or 'one of ' + ', '.join(known)}"


def setting_hint(key: str, value: Any) -> str:
    """The hint for a metric's setting that is written beside `metric`; empty if the key is no setting."""
    having = [name for name, facts in METRICS.items() if key in facts.settings]
    if key not in get_args(Setting) or not having:
        return ""
    shown = short_repr(value).strip("'")
    return f"write it into the metric: `metric: {{name: {having[0]}, {key}: {shown}}}`"
