"""Every metric has a description, and docs/guide/objectives.md lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.metric_words import maximized_by_name
from tunecli.config.metrics import METRIC_LINES, METRICS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "objectives.md"


def test_the_documented_metrics_are_exactly_the_known_metrics() -> None:
    assert METRIC_LINES.keys() == METRICS.keys()
    assert "macro average" in METRIC_LINES["val_f1"]


@pytest.mark.parametrize("name", METRICS)
def test_the_readme_lists_a_metric_with_its_task_direction_and_line(name: str) -> None:
    facts = METRICS[name]
    task = "all" if len(facts.tasks) == 3 else ", ".join(facts.tasks)
    direction = "maximize" if facts.maximize else "minimize"
    assert f"| `{name}` | {task} | {direction} | {METRIC_LINES[name]} |\n" in PAGE.read_text()


MINIMIZED = [
    "loss",
    "val_loss",
    "valLoss",
    "train/loss",
    "eval.loss",
    "loss_mean",
    "total_losses",
    "error",
    "err",
    "error_rate",
    "ppl",
    "perplexity",
    "valPerplexity",
    "rmse",
    "val-rmse",
    "eval_RMSE_mean",
    "mae",
    "MAE",
    "mse",
    "nll",
    "NLL",
    "test.nll",
    "negative_log_likelihood",
    "log_loss",
    "logLoss",
    "cross_entropy",
    "bpb",
    "val_bpb",
    "bits_per_byte",
    "wer",
    "cer",
    "word_error_rate",
    "fid",
    "fid_score",
    "brier_score",
    "ece",
    "latency",
    "latency_ms",
    "inference_time",
    "step_time_s",
    "time",
    "duration_seconds",
    "false_positive_rate",
    "regret",
    "kl_div",
    "lpips",
    "loss_per_epoch",
]
MAXIMIZED = [
    "acc",
    "accuracy",
    "valAcc",
    "test_accuracy",
    "eval/accuracy",
    "acc@1",
    "top1",
    "auc",
    "AUROC",
    "roc_auc",
    "val.auroc",
    "f1",
    "f1-score",
    "eval_f1_macro",
    "precision",
    "recall",
    "recall_at_k",
    "recall@5",
    "hits@10",
    "reward",
    "episode_reward_mean",
    "reward_per_episode",
    "return",
    "episodic_return",
    "score",
    "map",
    "mAP@50",
    "mAP50",
    "iou",
    "mIoU",
    "dice",
    "bleu",
    "sacrebleu",
    "rouge",
    "rougeL",
    "r2",
    "r2_score",
    "r_squared",
    "psnr",
    "PSNR",
    "ssim",
    "ndcg@10",
    "mrr",
    "win_rate",
    "winRate",
    "success_rate",
    "elo",
    "exact_match",
    "log_likelihood",
    "mcc",
    "kappa",
    "inception_score",
    "spearman",
]
UNCLEAR = [
    "loss_accuracy",
    "accuracy_loss",
    "score_error",
    "speed",
    "neg_loss",
    "neg_mean_squared_error",
    "loss_reduction",
    "accuracy_drop",
    "loss_ratio",
    "time_to_accuracy",
    "return_time",
    "throughput",
    "size",
    "lossless_size",
    "mapper",
    "timeless",
    "x",
    "height",
    "entropy",
    "memory",
    "lr",
    "steps",
]


@pytest.mark.parametrize("name", MINIMIZED)
def test_a_metric_with_a_name_of_a_loss_an_error_or_a_time_is_minimized(name: str) -> None:
    assert maximized_by_name(name) is False


@pytest.mark.parametrize("name", MAXIMIZED)
def test_a_metric_with_a_name_of_a_quality_is_maximized(name: str) -> None:
    assert maximized_by_name(name) is True


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_ambiguous_or_unknown_name_has_no_direction(name: str) -> None:
    assert maximized_by_name(name) is None
