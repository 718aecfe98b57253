"""Each setting with which no trial can run on a cluster: exit code 2, the reason, within 10 s and without a run folder.

The seconds depend on the machine, so they are printed (``pytest -s``) and not asserted.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.ray_cluster import RayCluster
from tunecli.engine.cluster.user_files import MOST_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_STUDY = """\
study: bad
objective: {metric: val_loss}
trial:
  python: "keeper:train"
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: random, trials: 4, lookahead: 2}
run: %s
"""


def _search(
    folder: Path, run: dict[str, object], *, has_folder: bool = False, **environment: str
) -> tuple[int, str]:
    """Run a sweep; return its exit code and what it said on stderr."""
    folder.mkdir(exist_ok=True)
    (folder / "keeper.py").write_text(
        "def train(params, trial):\n    trial.report(1, val_loss=params['x'])\n"
    )
    (folder / "study.yaml").write_text(_STUDY % json.dumps({"engine": "ray", "device": "cpu", **run}))
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tunecli", "search", "study.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120.0,
    )
    print(f"{folder.name}: {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    assert (folder / "runs").exists() == has_folder
    return done.returncode, done.stderr


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_where_nothing_answers(tmp_path: Path) -> None:
    address = _closed_port()
    code, said = _search(tmp_path / "silent", {"ray": {"address": address}})
    assert code == 2
    assert f"no Ray cluster answers at {address}" in said


def test_the_address_of_ray_client_in_the_environment(tmp_path: Path) -> None:
    code, said = _search(tmp_path / "client", {}, RAY_ADDRESS="ray://10.0.0.5:10001")
    assert code == 2
    assert "RAY_ADDRESS: `ray://` is Ray Client, which this engine does not use" in said


def test_ray_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    # An importer without a spec for Ray is an environment without the package.
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import importlib.machinery as m, sys\n"
        "find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = classmethod(lambda cls, name, *a: None if name == 'ray' else find(name, *a))\n"
    )
    code, said = _search(
        tmp_path / "without",
        {},
        PYTHONPATH=os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")]),
    )
    assert code == 2
    assert "the engine `ray` needs the package `ray`, which is not installed" in said
    assert "pip install" in said


def test_files_that_are_too_large_to_travel_are_refused_unless_the_machines_have_them(tmp_path: Path) -> None:
    with RayCluster([1]) as cluster:
        for storage, expected in (("bytes", 2), ("auto", 0)):
            folder = tmp_path / storage
            folder.mkdir()
            with (folder / "large.bin").open("wb") as file:
                file.truncate(MOST_BYTES)  # a hole, which takes no room on the disk
            ray = {"address": cluster.address, "storage": storage, "files": ["large.bin"]}
            code, said = _search(folder, {"ray": ray}, has_folder=not expected)
            assert code == expected, said
            if expected:
                words = " ".join(said.split())
                assert "run.ray.files: 1.0 GiB in 2 files, at most 1.0 GiB travels, and no node" in words


def test_clusters_that_cannot_run_the_trials(tmp_path: Path) -> None:
    with RayCluster([], RAY_CLUSTER_TEST_VERSION="2.1.0") as other:
        code, said = _search(tmp_path / "version", {"ray": {"address": other.address}})
        assert code == 2
        assert f"the cluster at {other.address} runs Ray 2.1.0 and Python" in said
    with RayCluster([1]) as cluster:
        at = {"address": cluster.address}
        for name, run, expected in (
            ("gpu", {"device": "cuda", "ray": at}, "run.device: no node of the cluster has a `cuda` device"),
            ("large", {"threads": 8, "ray": at}, "run.threads: no node has 8 CPUs, the largest has 1"),
            ("files", {"ray": {**at, "files": ["lookup/*"]}}, "run.ray.files: no file matches lookup/* in"),
            (
                "resource",
                {"ray": {**at, "resources": {"a100": 1}}},
                "run.ray.resources: no node has 1 of `a100`",
            ),
        ):
            code, said = _search(tmp_path / name, run)
            assert code == 2
            assert expected in " ".join(said.split())
