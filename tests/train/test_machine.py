"""The accelerators for jobs follow from the driver's listing and CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tunecli.errors import UsageError
from tunecli.train import devices, machine
from tunecli.train.machine import (
    Accelerator,
    accelerators,
    device_index,
    device_name,
    grouped,
    is_cpu,
    mig_instances,
    selected_by,
    visible_devices,
    whole_accelerators,
    without_group,
)

# as in NVIDIA's MIG user guide: a GPU in three parts, and one that is whole
LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 2g.10gb     Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
  MIG 1g.5gb      Device  2: (UUID: MIG-3b5d64e2-4c4c-5f5c-8f1b-4d2ac8d0e1aa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-1f3b7a52-0f7d-4a3c-9d5e-6b1f6c2b7d10)
"""
WHOLE = "GPU 0: NVIDIA L4 (UUID: GPU-1)\nGPU 1: NVIDIA L4 (UUID: GPU-2)\n"
THREE, TWO, ONE = (
    "MIG-c7384736-a75d-5afc-978f-d2f1294409fd",
    "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d",
    "MIG-3b5d64e2-4c4c-5f5c-8f1b-4d2ac8d0e1aa",
)
SECOND = "GPU-1f3b7a52-0f7d-4a3c-9d5e-6b1f6c2b7d10"


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, [THREE, TWO, ONE, SECOND]),
        ("0", [THREE, TWO, ONE]),
        ("1,0", [SECOND, THREE, TWO, ONE]),
        ("0,9,1", [THREE, TWO, ONE]),
        ("GPU-e86cb44c", [THREE, TWO, ONE]),
        (f"{ONE}, {THREE}", [ONE, THREE]),
        ("MIG-a28ad590", [TWO]),
        (f"MIG-nowhere,{ONE}", []),
        ("MIG-", []),
        ("", []),
        ("-1", []),
        ("1", []),
        (
            "MIG-GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0/1/0",
            ["MIG-GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0/1/0"],
        ),
    ],
)
def test_every_visible_instance_is_an_accelerator(visible: str | None, seen: list[str]) -> None:
    found = mig_instances(LISTING, visible)
    assert [place.visible for place in found] == seen
    assert [place.name for place in found] == [f"cuda:{number}" for number in range(len(seen))]
    assert {place.local for place in found} <= {"cuda:0"}


@pytest.mark.parametrize("visible", [None, "0", "1,0", "GPU-2"])
def test_whole_gpus_are_left_to_torch(visible: str | None) -> None:
    assert mig_instances(WHOLE, visible) == ()
    assert mig_instances("", visible) == ()


def test_an_instance_describes_its_gpu() -> None:
    assert mig_instances(LISTING, None)[0].description == "NVIDIA A100-SXM4-40GB MIG 3g.20gb"


HERE = [Accelerator(name, name) for name in ("cuda:0", "cuda:1", "cuda:2")]


@pytest.mark.parametrize(
    ("device", "meant"),
    [
        ("auto", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", ["cuda:1"]),
        ("cuda:01", ["cuda:1"]),
        ("cuda:7", []),
        ("xpu", []),
    ],
)
def test_a_device_name_selects_all_of_its_kind_or_one(device: str, meant: list[str]) -> None:
    assert [place.name for place in selected_by(device, HERE)] == meant


def test_the_cpu_is_no_accelerator_and_needs_no_torch() -> None:
    assert accelerators("cpu") == accelerators("cpu:0") == ()
    program = "import sys; from tunecli.train.machine import accelerators; accelerators('cpu'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", ["auto", "cpu", "cpu:0", *devices.names()])
def test_a_device_name_is_resolved_as_by_torch(name: str) -> None:
    assert device_name(name) == str(devices.resolve(name))
    assert not is_cpu(name) or device_name(name) == "cpu"


@pytest.mark.parametrize(
    ("name", "avoid"),
    [("cpu:1", ()), ("gpu", ()), ("cuda:99", ()), ("cpu", ("cpu",)), ("auto", devices.names())],
)
def test_a_device_that_torch_lacks_is_refused_with_the_same_error(name: str, avoid: Sequence[str]) -> None:
    with pytest.raises(UsageError) as refused:
        device_name(name, 0, avoid)
    with pytest.raises(UsageError) as by_torch:
        devices.resolve(name, 0, avoid)
    assert (refused.value.message, refused.value.hint) == (by_torch.value.message, by_torch.value.hint)


def test_the_cpu_is_resolved_without_torch() -> None:
    program = "import sys; from tunecli.train.machine import device_name; device_name('cpu'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("names", "visible", "bound_to"),
    [
        (["cuda:0"], None, [("cuda:0", "0")]),
        (["cuda:0"], "MIG-1", [("cuda:0", "MIG-1")]),
        (["cuda:0", "cuda:1"], None, [("cuda:0", "0"), ("cuda:0", "1")]),
        (["cuda:0", "cuda:1"], "3, GPU-2", [("cuda:0", "3"), ("cuda:0", "GPU-2")]),
        (["cuda:0", "cuda:1"], "3", [("cuda:0", ""), ("cuda:1", "")]),
        (["xpu:0", "xpu:1"], None, [("xpu:0", "0"), ("xpu:0", "1")]),
        (["xpu:0", "xpu:1"], "0.1,1.0", [("xpu:0", "0.1"), ("xpu:0", "1.0")]),
        (["mps:0"], None, [("mps:0", "")]),
        ([], None, []),
    ],
)
def test_a_process_on_a_gpu_sees_only_that_one(
    names: list[str], visible: str | None, bound_to: list[tuple[str, str]]
) -> None:
    found = whole_accelerators(names, visible)
    assert [place.name for place in found] == names
    assert [(place.local, place.visible) for place in found] == bound_to


@pytest.mark.parametrize(
    ("name", "build", "environment"),
    [
        ("cuda:1", "cu", {"CUDA_VISIBLE_DEVICES": "7"}),
        ("cuda:1", "rocm", {"HIP_VISIBLE_DEVICES": "7", "CUDA_VISIBLE_DEVICES": "7"}),
        ("xpu:1", "xpu", {"ZE_AFFINITY_MASK": "7"}),
        ("mps:0", "", {}),
    ],
)
def test_each_kind_of_accelerator_has_its_own_variables(
    name: str, build: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_build", lambda: build)
    assert Accelerator(name, name, "7").environment == environment
    assert Accelerator(name, name).environment == {}
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"):
        monkeypatch.setenv(variable, environment.get(variable, "elsewhere"))
    assert visible_devices(name) == ("7" if environment else "")
    assert visible_devices("cpu") == ""


def test_devices_of_one_trial_make_a_group_and_the_rest_is_left_out() -> None:
    here = whole_accelerators([f"cuda:{number}" for number in range(5)], "4,5,GPU-a,7,9")
    assert grouped(here, 1) == tuple(here)
    groups = grouped(here, 2)
    assert [(group.name, group.local, group.visible, group.n_devices) for group in groups] == [
        ("cuda:0+1", "cuda:0", "4,5", 2),
        ("cuda:2+3", "cuda:0", "GPU-a,7", 2),
    ]
    assert grouped(here, 6) == grouped((), 2) == grouped(mig_instances(LISTING, "0"), 2) == ()
    assert [without_group(name) for name in ("cuda:0+1", "cuda:1", "cpu", "")] == [
        "cuda",
        "cuda:1",
        "cpu",
        "",
    ]


@pytest.mark.parametrize(
    ("device", "n_devices", "index"),
    [("cpu", 1, "-1"), ("cuda:0", 1, "0"), ("cuda:1", 1, "1"), ("cuda:0", 3, "0,1,2"), ("mps", 1, "0")],
)
def test_the_index_of_a_device_is_that_among_the_visible_ones(
    device: str, n_devices: int, index: str
) -> None:
    assert device_index(device, n_devices) == index
