"""Studies that began under earlier defaults: they go on, are exported and are verified with those defaults."""

import pytest

from tests.study.sweeps import Silent
from tunecli.commands.verify import verify
from tunecli.config.concrete_trial import concrete
from tunecli.config.earlier_defaults import DEFAULTS, UNRECORDED
from tunecli.config.load import parse_study
from tunecli.errors import ConfigError, StoreTooNew
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep

STUDY = """\
study: earlier
objective: {metric: val_loss}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [3]}
  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}
search: {sampler: random, trials: 2}
run: {device: cpu, workers: 1, engine: inline, report: off}
"""


def parsed(text, folder, defaults=DEFAULTS):
    return parse_study(text.encode(), "earlier.yaml", (), folder, defaults=defaults)


def swept(spec, path):
    with begin(spec, path) as study:
        return results_of(sweep(study, Silent()).table)


def results_of(table):
    places = [table.columns.index(name) for name in ("trial", "val_loss", "epochs")]
    return sorted(tuple(row[place] for place in places) for row in table.rows)


def test_study_of_earlier_defaults_keeps_them_to_the_last_bit(tmp_path):
    path = tmp_path / "run"
    swept(parsed(STUDY, tmp_path, UNRECORDED), path)
    with reopen(RunFolder(path), {"n_trials": 3}) as study:
        continued = results_of(sweep(study, Silent()).table)
    named = STUDY.replace("search:", "  training: {epochs: 20}\nsearch:").replace("trials: 2", "trials: 3")
    assert continued == swept(parsed(named, tmp_path), tmp_path / "named")
    assert [epochs for *_, epochs in continued] == [20, 20, 20]
    assert "epochs: 20" in (path / "best.yaml").read_text()
    assert not verify(RunFolder(path), is_all=True, is_exact=True).unreproduced
    with fork(RunFolder(path), "forked", {"n_trials": 4}) as study:
        assert study.spec.space.defaults == UNRECORDED
        assert [epochs for *_, epochs in results_of(sweep(study, Silent()).table)] == [20] * 4


def test_earlier_defaults_are_those_that_the_file_leaves_open(tmp_path):
    def settings(trial, defaults):
        text = STUDY.replace("model: {name: mlp, hidden: [3]}", trial)
        plain = concrete(parsed(text, tmp_path, defaults).space, {"optimizer.lr": 0.01})
        return plain.get("model"), plain.get("training")

    named = {"name": "cnn", "norm": "none"}
    assert settings("model: cnn", UNRECORDED) == (named, {"epochs": 20})
    assert settings("model: cnn", DEFAULTS) == ("cnn", None)
    assert settings("model: {name: cnn, kernel: 5}", UNRECORDED)[0] == {**named, "kernel": 5}
    assert settings("model: transformer", UNRECORDED) == ("transformer", {"epochs": 20})
    named = "model: {name: cnn, norm: batch}\n  training: {steps: 5}"
    assert settings(named, UNRECORDED) == settings(named, DEFAULTS)


def test_study_without_an_optimizer_keeps_the_weight_decay_it_began_with(tmp_path):
    text = STUDY.replace("  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}\n", "")
    text = text.replace("iris", "diabetes").replace("hidden: [3]", "hidden: [{int: [3, 9]}]")
    named = text.replace("search:", "  optimizer: adamw\nsearch:")
    earlier = swept(parsed(text, tmp_path, 2), tmp_path / "earlier")
    assert earlier == swept(parsed(named, tmp_path), tmp_path / "named")
    path = tmp_path / "earlier"
    assert "optimizer: adamw" in (path / "best.yaml").read_text()
    with reopen(RunFolder(path), {"n_trials": 3}) as study:
        continued = results_of(sweep(study, Silent()).table)
    longer = named.replace("trials: 2", "trials: 3")
    assert continued == swept(parsed(longer, tmp_path), tmp_path / "longer")
    assert not verify(RunFolder(path), is_all=True, is_exact=True).unreproduced
    with fork(RunFolder(path), "forked", {"n_trials": 4}) as study:
        assert study.spec.space.defaults == 2
        forked = results_of(sweep(study, Silent()).table)
    longer = named.replace("trials: 2", "trials: 4")
    assert forked == swept(parsed(longer, tmp_path), tmp_path / "longest")
    assert earlier != swept(parsed(text, tmp_path), tmp_path / "now")


def test_study_of_tabular_resnet_keeps_the_weight_decay_it_began_with(tmp_path):
    text = STUDY.replace("  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}\n", "").replace(
        "iris", "diabetes"
    )
    text = text.replace(
        "model: {name: mlp, hidden: [3]}", "model: {name: tabular_resnet, width: {int: [4, 8]}}"
    )
    named = text.replace("search:", "  optimizer: adamw\nsearch:")
    earlier = swept(parsed(text, tmp_path, 3), tmp_path / "earlier")
    assert earlier == swept(parsed(named, tmp_path), tmp_path / "named")
    assert "optimizer: adamw" in (tmp_path / "earlier" / "best.yaml").read_text()
    assert earlier != swept(parsed(text, tmp_path), tmp_path / "now")


@pytest.mark.parametrize(
    ("model", "earlier"),
    [
        ("mlp", {1: "adamw", 2: "adamw", 3: None, 4: None}),
        ("tabular_resnet", {2: "adamw", 3: "adamw", 4: None}),
    ],
)
def test_a_version_names_the_optimizer_of_the_models_whose_decay_came_later(tmp_path, model, earlier):
    text = STUDY.replace("  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}\n", "")
    text = text.replace("model: {name: mlp, hidden: [3]}", f"model: {{choice: [{model}]}}")
    for version, optimizer in earlier.items():
        plain = concrete(parsed(text, tmp_path, version).space, {"model": model})
        assert plain.get("optimizer") == optimizer


def test_pausing_pruner_needs_a_length_for_own_data_except_in_earlier_studies(tmp_path):
    text = STUDY.replace("source: iris", "source: {python: 'mine:make'}")
    text = text.replace("sampler: random", "sampler: random, pruner: hyperband")
    parsed(text, tmp_path, UNRECORDED)
    parsed(text.replace("search:", "  training: {epochs: {choice: [5, 9]}}\nsearch:"), tmp_path)
    with pytest.raises(ConfigError, match=r"the size of your own data.*epochs: n"):
        parsed(text, tmp_path)


def test_record_of_later_defaults_is_read_but_not_continued(tmp_path):
    path = tmp_path / "run"
    with begin(parsed(STUDY, tmp_path), path):
        pass
    with Log.open(path / "study.db") as log, log.atomic():
        assert log.facts()["defaults"] == DEFAULTS
        log.set_fact("defaults", DEFAULTS + 1)
    with open_to_read(RunFolder(path)):
        pass
    with pytest.raises(StoreTooNew, match="version 5 of the defaults"), reopen(RunFolder(path), {}):
        pass
