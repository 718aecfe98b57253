"""The environment variables of the workers on the nodes."""

import pytest

from tunecli.config.ray import Ray
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.ray.engine import _environment
from tunecli.errors import UsageError


def test_a_variable_takes_its_value_from_a_variable_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "planted{secret}")
    made = _environment(Ray(env={"TOKEN": "${env:TOKEN}", "PLAIN": "1"}), Resources(1.0, gpus=1.0))
    assert made == {"TOKEN": "planted{secret}", "PLAIN": "1"}


def test_a_variable_that_is_not_set_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(UsageError, match="`TOKEN` is not set"):
        _environment(Ray(env={"TOKEN": "${env:TOKEN}"}), Resources(1.0))


def test_workers_without_a_share_of_a_gpu_see_none() -> None:
    assert _environment(Ray(), Resources(1.0)) == {"CUDA_VISIBLE_DEVICES": ""}
    assert _environment(Ray(), Resources(1.0, gpus=0.5)) == {}
