"""The process that `tests.support.forked` starts: it loads the program once, and forks for each verb.

It reads one line of JSON per verb and answers each with the exit code; a negative one is a signal. It starts no thread
and no tensor is made in it, so its forks begin as a new process does after its imports.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

LOADED = (
    "scipy.stats.qmc",
    "sklearn.datasets",
    "skopt",
    "torch",
    "torch.optim.swa_utils",
    "safetensors.torch",
    "tunecli.__main__",
    "tunecli.cli",
    "tunecli.commands.check",
    "tunecli.commands.report",
    "tunecli.commands.search",
    "tunecli.console.live",
    "tunecli.engine",
    "tunecli.search.samplers.bayes",
    "tunecli.study.sweep",
    "tunecli.train.loop",
    "tunecli.train.trials",
    "tunecli.train.validation",
)


def run(task: dict[str, Any]) -> None:
    """Become the process of a verb, and exit with its code."""
    os.chdir(task["cwd"])
    os.environ.clear()
    os.environ.update(task["environment"])
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = ["tunecli", *task["arguments"]]
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, task["out"], os.O_WRONLY),
        (2, task["err"], os.O_WRONLY),
    ):
        os.dup2(os.open(name, flags), number)
    code = 0
    try:
        sys.modules["tunecli.__main__"].main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # else the first collection of each child copies the shared pages
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
