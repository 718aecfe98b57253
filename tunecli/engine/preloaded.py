"""What training loads, all of it, for the server that workers are forked from.

Torch's library is loaded by a thread of its own meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import threading
from pathlib import Path

from tunecli.engine.collecting import out_of_sight


def _load_library() -> None:
    """Let the largest of torch's libraries be there when torch asks for it; where it cannot be, torch says why."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(Path(folder, "lib", "libtorch_cpu.so")))


_loading = threading.Thread(target=_load_library)
_loading.start()
with out_of_sight():
    try:
        import tunecli.engine.worker
        import tunecli.train.fused.group
        import tunecli.train.loop
        import tunecli.train.user_code.function  # noqa: F401  # all are loaded for the workers that are forked
        from tunecli.config.schema import FunctionTrial, TrialConfig
        from tunecli.train.user_code.code import note_loaded

        for model in (TrialConfig, FunctionTrial):
            model.model_rebuild()  # which each worker would do by itself
        note_loaded()
    finally:
        _loading.join()  # a process with other threads is none to fork
