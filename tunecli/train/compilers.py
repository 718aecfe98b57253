"""The C++ compiler that torch.compile needs, looked for before anything is trained. Loads no torch."""

from __future__ import annotations

import os
import shutil


def missing_compiler() -> str:
    """The compiler that was looked for and is not here; empty where there is one.

    ``CXX`` names it, as it does for torch; else it is g++ or clang++.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return "" if any(shutil.which(name) for name in wanted) else " or ".join(wanted)
