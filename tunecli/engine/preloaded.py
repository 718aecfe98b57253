"""What training loads, all of it, for the server that workers are forked from.

Torch's library is loaded by a thread of its own meanwhile. The collector of garbage finds none while modules are
loaded, and takes a sixth of the time. What was loaded is then kept out of its sight, so that no worker looks through
it, which would also give each a copy of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import threading
from pathlib import Path


def _load_library() -> None:
    """Let the largest of torch's libraries be there when torch asks for it; where it cannot be, torch says why."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(Path(folder, "lib", "libtorch_cpu.so")))


_loading = threading.Thread(target=_load_library)
_loading.start()
gc.disable()
try:
    import tunecli.engine.worker
    import tunecli.train.fused.group
    import tunecli.train.loop  # noqa: F401  # all three are loaded for the workers that are forked
finally:
    _loading.join()  # a process with other threads is none to fork
    gc.freeze()
    gc.enable()
