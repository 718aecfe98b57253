"""The environment variables of the workers on the nodes."""

from pathlib import Path

import pytest

from tunecli.config.ray import Ray
from tunecli.config.run import Run
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.ray.engine import _environment, capacity
from tunecli.errors import UsageError


def test_a_variable_takes_its_value_from_a_variable_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "planted{secret}")
    made = _environment(Ray(env={"TOKEN": "${env:TOKEN}", "PLAIN": "1"}), Resources(1.0, gpus=1.0))
    assert made == {"TOKEN": "planted{secret}", "PLAIN": "1"}


def test_a_variable_that_is_not_set_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(UsageError, match="`TOKEN` is not set"):
        _environment(Ray(env={"TOKEN": "${env:TOKEN}"}), Resources(1.0))


def test_a_storage_that_cannot_be_used_is_refused_before_a_cluster_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        capacity(Run(engine="ray", ray=Ray(address="127.0.0.1:1", storage=str(tmp_path / "file" / "folder"))))


def test_workers_without_a_share_of_a_gpu_see_none() -> None:
    assert _environment(Ray(), Resources(1.0)) == {"CUDA_VISIBLE_DEVICES": ""}
    assert _environment(Ray(), Resources(1.0, gpus=0.5)) == {}
