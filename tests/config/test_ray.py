"""The settings under ``run.ray``: what they accept, what they refuse, and what follows from other keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tunecli.config.load import parse_study
from tunecli.config.ray import Ray
from tunecli.config.run import Run
from tunecli.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"address": "10.0.0.5:6379"},
        {"address": "head-0.ray.svc:6379"},
        {"address": "[2001:db8::1]:6379"},
        {"cpus": 0.5, "gpus": 2, "memory": "2GB", "agent": 4},
        {"storage": "s3://bucket/folder"},
        {"storage": "file:///shared"},
        {"storage": "/shared/runs"},
        {"files": ["data/**", "vocabulary.txt"], "wait": "1h30m", "env": {"HF_HOME": "/models"}},
        {"resources": {"a100": 1, "node:10.0.0.7": 0.01}},
    ],
)
def test_settings_of_a_cluster_are_accepted(settings: dict[str, Any]) -> None:
    Ray.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "ray://head:10001"}, "Ray Client"),
        ({"address": "head"}, "must be `auto` or the address"),
        ({"address": "head:70000"}, "must be `auto` or the address"),
        ({"address": "http://head:8265"}, "must be `auto` or the address"),
        ({"cpus": 0}, "greater than 0"),
        ({"gpus": 1.5}, "below 1 for a share"),
        ({"gpus": -1}, "greater than or equal to 0"),
        ({"agent": "nodes"}, "'node'"),
        ({"resources": {"GPU": 1}}, "write `gpus`"),
        ({"resources": {"a 100": 1}}, "name of a resource"),
        ({"resources": {"a100": 0}}, "greater than 0"),
        ({"files": ["../secret"]}, "without `..`"),
        ({"files": ["/etc/hosts"]}, "without `..`"),
        ({"storage": "runs"}, "absolute folder"),
        ({"storage": "ftp://host/x"}, "unknown kind of storage"),
        ({"storage": "/shared/../etc"}, "must not contain `..`"),
        ({"storage": "s3://bucket/../other"}, "no `..`"),
        ({"storage": "s3://key:secret@bucket"}, "must not contain a user or a password"),
        ({"storage": "s3://bucket?secret_key=secret"}, "unknown option in the URL"),
        ({"storage": "s3://"}, "no bucket"),
        ({"wait": "soon"}, "invalid duration"),
        ({"wait": None}, "valid number"),
        ({"env": {"A": 1}}, "must be text"),
        ({"env": {"TUNECLI_X": "1"}}, "TUNECLI_"),
        ({"nodes": 3}, "Extra inputs"),
    ],
)
def test_a_mistake_in_the_settings_of_a_cluster_is_explained(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Run.model_validate({"engine": "ray", "ray": settings})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"per_device": 2, "ray": {"gpus": 0.5}}, "remove one of them"),
        ({"device": "cuda:1"}, "write `device: cuda`"),
        ({"device": "mps"}, "`device: mps` does not work"),
        ({"device": "cuda", "ray": {"gpus": 0}}, "needs a GPU"),
        ({"device": "cpu", "ray": {"gpus": 1}}, "uses no GPU"),
        ({"devices_per_trial": 2, "ray": {"gpus": 1}}, "needs `ray.gpus: 2`"),
        ({"devices_per_trial": 2, "per_device": 2}, "do not work together"),
    ],
)
def test_settings_that_contradict_those_of_the_cluster_are_refused_with_its_engine_only(
    run: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Run.model_validate({**run, "engine": "ray"})
    assert words in str(caught.value)
    Run.model_validate({**run, "engine": "local"})


def test_the_engine_takes_its_settings_from_its_section() -> None:
    run = Run.model_validate({"ray": {"cpus": 4}})
    assert run.engine_settings is None
    assert Run.model_validate({"engine": "ray", "ray": {"cpus": 4}}).engine_settings == run.ray
    assert Run.model_validate({"engine": "ray"}).engine_settings == Ray()


def test_a_trial_takes_the_cpus_of_its_threads_and_the_share_of_a_gpu_that_per_device_leaves() -> None:
    assert Ray().cpus_per_trial(threads=3) == 3
    assert Ray(cpus=0.5).cpus_per_trial(threads=3) == 0.5
    assert Ray().gpus_per_trial("auto", n_devices=1, per_device=1) == 0
    assert Ray().gpus_per_trial("cpu", n_devices=1, per_device=1) == 0
    assert Ray().gpus_per_trial("cuda", n_devices=1, per_device=4) == 0.25
    assert Ray().gpus_per_trial("xpu", n_devices=2, per_device=1) == 2
    assert Ray(gpus=0.5).gpus_per_trial("auto", n_devices=1, per_device=1) == 0.5


def test_an_unknown_key_of_the_section_has_its_path_and_the_nearest_key() -> None:
    text = "objective: {metric: loss}\ntrial: {command: [sh, -c, 'true']}\nrun: {ray: {adress: 'h:1'}}\n"
    with pytest.raises(ConfigError) as caught:
        parse_study(text.encode(), "f.yaml", (), Path())
    assert str(caught.value.problems[0]).startswith("f.yaml:3:13: run.ray.adress: unknown key `adress`")
    assert "did you mean `address`?" in str(caught.value)
