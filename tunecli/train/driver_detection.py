"""Whether an accelerator may be here, as far as that can be told without torch. Loads next to nothing."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

_DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")
_DRIVERS_OF_XPU = ("/dev/dri",)
_OF_BUILDS = {"cpu": (), "xpu": _DRIVERS_OF_XPU, "": _DRIVERS, "cu": _DRIVERS, "rocm": _DRIVERS}
"""What a build of torch can use, by what its version says that it was built for, without the numbers."""


def may_be_here() -> bool:
    """Whether torch's build and the drivers leave it possible that torch finds an accelerator."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64" and _build() != "cpu"
    here = {driver for driver in (*_DRIVERS, *_DRIVERS_OF_XPU) if Path(driver).exists()}
    # asked last, since it takes longer; one who built torch may have built it for anything
    return bool(here) and not here.isdisjoint(_OF_BUILDS.get(_build(), (*_DRIVERS, *_DRIVERS_OF_XPU)))


def is_cpu(device: str) -> bool:
    """Whether a device's name can mean nothing but the CPU, whatever torch would find."""
    return device in ("cpu", "cpu:0") or (device == "auto" and not may_be_here())


def _build() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        local = version("torch").partition("+")[2]
    except PackageNotFoundError:
        return ""
    return local.partition(".")[0].rstrip("0123456789")
