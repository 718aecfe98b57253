"""The settings under `run`: checkpoints, policies for failures; and pruners."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tunecli.config.load import parse_study
from tunecli.config.run import CheckpointEvery, OnFailure, Run
from tunecli.errors import ConfigError
from tunecli.registry.pruners import Asha, Curves, Halving, Hyperband, Median
from tunecli.trial import FailureKind

BARE = "objective: {metric: val_loss}\ntrial: {data: {source: iris}}\n"


def settings_of(text, *overrides):
    return parse_study((BARE + text).encode(), "f.yaml", overrides, Path()).settings


def problems(text, *overrides):
    with pytest.raises(ConfigError) as caught:
        settings_of(text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults_prune_nothing_checkpoint_and_retry():
    settings = settings_of("")
    assert settings.search.pruner == "none"
    assert settings.run.checkpoint == "auto"
    assert settings.run.on_failure.model_dump() == {
        "oom": "split",
        "crash": "retry",
        "lost": "retry",
        "timeout": "skip",
        "error": "skip",
    }


@pytest.mark.parametrize(
    ("written", "pruner"),
    [
        ("none", "none"),
        ("{name: none}", "none"),
        ("median", Median(startup_trials=5, warmup_epochs=1)),
        ("{name: median, startup_trials: 2}", Median(startup_trials=2)),
        ("{name: median, warmup_epochs: 0}", Median(warmup_epochs=0)),
        ("halving", Halving(min_epochs="auto", max_epochs="auto", factor=3, bracket="auto")),
        ("{name: halving, bracket: 16, factor: 4}", Halving(bracket=16, factor=4)),
        ("hyperband", Hyperband(min_epochs="auto", max_epochs="auto", factor=3)),
        ("{name: asha, min_epochs: 2, max_epochs: 50}", Asha(min_epochs=2, max_epochs=50)),
        ("curves", Curves(min_epochs="auto", max_epochs="auto", factor=3)),
    ],
)
def test_a_pruner_is_a_name_or_a_name_with_its_arguments(written, pruner):
    assert settings_of(f"search: {{pruner: {written}}}\n").search.pruner == pruner


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{pruner: {name: asha, min_epochs: 9, max_epochs: 5}}", "9 is above 5"),
        ("{pruner: {name: hyperband, factor: 1}}", "factor"),
        ("{pruner: curves, sampler: random}", "needs the sampler `bayes`"),
    ],
)
def test_invalid_pruners_are_refused(written, told):
    assert told in problems(f"search: {written}\n")[0]


@pytest.mark.parametrize(
    ("written", "checkpoint"), [("auto", "auto"), ("off", "off"), ("{epochs: 3}", CheckpointEvery(epochs=3))]
)
def test_checkpoints_are_automatic_off_or_every_n_epochs(written, checkpoint):
    assert settings_of(f"run: {{checkpoint: {written}}}\n").run.checkpoint == checkpoint


@pytest.mark.parametrize(
    ("text", "overrides", "checkpoint"),
    [
        ("", ["run.checkpoint=off"], "off"),
        ("", ["run.checkpoint={epochs: 2}"], CheckpointEvery(epochs=2)),
        ("", ["run.checkpoint.epochs=2"], CheckpointEvery(epochs=2)),
        ("run: {checkpoint: off}\n", ["run.checkpoint.epochs=2"], CheckpointEvery(epochs=2)),
        ("run: {checkpoint: {epochs: 2}}\n", ["run.checkpoint=auto"], "auto"),
    ],
)
def test_checkpoints_can_be_set_from_the_command_line(text, overrides, checkpoint):
    assert settings_of(text, *overrides).run.checkpoint == checkpoint


def test_a_pruner_and_its_arguments_can_be_set_from_the_command_line():
    assert settings_of("", "search.pruner=median").search.pruner == Median()
    text = "search: {pruner: median}\n"
    assert settings_of(text, "search.pruner.startup_trials=3").search.pruner == Median(startup_trials=3)
    assert settings_of(text, "search.pruner=none").search.pruner == "none"
    assert "--set search.pruner.startup_trials" in problems(text, "search.pruner.startup_trials=0")[0]


def test_a_policy_can_be_set_from_the_command_line():
    assert settings_of("", "run.on_failure.timeout=retry").run.on_failure == OnFailure(timeout="retry")
    told = "--set run.on_failure.timeout:1:1: run.on_failure.timeout: must be one of `retry`, `skip`"
    assert problems("", "run.on_failure.timeout=split")[0].startswith(told)


def test_every_kind_of_failure_has_a_policy():
    said = OnFailure(oom="skip", error="retry")
    policies = {kind: said.of(kind) for kind in FailureKind}
    assert policies == {
        FailureKind.OOM: "skip",
        FailureKind.DIVERGED: "skip",
        FailureKind.TIMEOUT: "skip",
        FailureKind.CRASH: "retry",
        FailureKind.ERROR: "retry",
        FailureKind.LOST: "retry",
        FailureKind.INTERRUPTED: "skip",
    }


@pytest.mark.parametrize(
    ("written", "n_bytes"),
    [
        ("500000", 500_000),
        ("64KiB", 65_536),
        ("1.5GB", 1_500_000_000),
        ("8 GiB", 8 * 2**30),
        ("2T", 2 * 10**12),
        ("'100'", 100),
        ("3k", 3000),
    ],
)
def test_a_size_is_a_number_of_bytes_or_a_number_with_a_unit(written, n_bytes):
    assert settings_of(f"run: {{trial_limit: {{memory: {written}}}}}\n").run.trial_limit.memory == n_bytes


@pytest.mark.parametrize("written", ["8 gallons", "GiB", "-1GB", "0", "1e3", "'1,5GB'", "0.0001k"])
def test_an_invalid_size_is_refused(written):
    (problem,) = problems(f"run: {{trial_limit: {{memory: {written}}}}}\n")
    assert "run.trial_limit.memory" in problem


@pytest.mark.parametrize(
    ("written", "n_bytes"),
    [
        ("1MB", 10**6),
        ("64KiB", 65536),
        ("1.5 GiB", 3 * 2**29),
        ("2048", 2048),
        ("4k", 4000),
        ("off", 0),
        (4096, 4096),
    ],
)
def test_size_of_a_log_is_bytes_or_a_text_with_a_unit(written, n_bytes):
    assert Run.model_validate({"log_limit": written}).log_limit == n_bytes


@pytest.mark.parametrize(
    "written", ["1 MB/s", "-1", "much", "1e6", "", -1, True, 1.5, "10", "4TB", "9" * 100]
)
def test_invalid_size_of_a_log_is_refused(written):
    with pytest.raises(ValidationError):
        Run.model_validate({"log_limit": written})


OWN = "objective: {metric: loss}\ntrial: {command: [sh, -c, x]}\nrun: {trial_limit: {epochs: 5}}\n"


def test_a_limit_of_epochs_is_for_the_users_own_trials():
    assert parse_study(OWN.encode(), "f.yaml", (), Path()).settings.run.trial_limit.epochs == 5
    (problem,) = problems("run: {trial_limit: {epochs: 5}}\n")
    assert "works for commands and own functions: write `trial: {training: {epochs: 5}}`" in problem
    assert problem.startswith("f.yaml:3:29: run.trial_limit.epochs")
    with pytest.raises(ConfigError, match="at least 1"):
        parse_study(OWN.replace("5", "0").encode(), "f.yaml", (), Path())


def test_only_a_timeout_can_keep_the_result():
    assert (
        settings_of("run: {on_failure: {timeout: keep}}\n").run.on_failure.of(FailureKind.TIMEOUT) == "keep"
    )
    for kind in ("oom", "crash", "lost", "error"):
        assert problems(f"run: {{on_failure: {{{kind}: keep}}}}\n")
