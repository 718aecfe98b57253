"""What training loads, all of it, for the server that workers are forked from.

The collector of garbage finds none while modules are loaded, and takes a sixth of the time. What was loaded is then
kept out of its sight, so that no worker looks through it, which would also give each a copy of its own.
"""

from __future__ import annotations

import gc

gc.disable()
try:
    import tunecli.engine.worker
    import tunecli.train.fused.group
    import tunecli.train.loop  # noqa: F401
finally:
    gc.freeze()
    gc.enable()
