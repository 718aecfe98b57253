"""Run the program many times in forks of a process that has loaded everything: a start takes 20 ms instead of 3 s.

    python tests/study/forked_runs.py TASKS.json

Each task is a list of steps in its own folder; a step has the program's arguments and may have a failpoint. Two tasks
run at a time. The output is JSON: for each task and step, how the process ended (an exit code, or the negative number of
a signal) and the end of its stderr. It is a program of its own because a process that ran tests cannot fork safely.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

AT_A_TIME = 2


LOADED = (
    *(
        "scipy.stats.qmc",
        "sklearn.datasets",
        "skopt",
        "torch",
        "torch.optim.swa_utils",
        "safetensors.torch",
    ),
    *(
        "tunecli.cli",
        "tunecli.console.live",
        "tunecli.engine",
        "tunecli.search.samplers.bayes",
        "tunecli.commands.check",
        "tunecli.commands.confirm",
        "tunecli.commands.search",
    ),
    *("tunecli.study.sweep", "tunecli.train.validation", "tunecli.train.loop", "tunecli.train.trials"),
)


def load_everything() -> None:
    """Import all modules that the program imports late; none of them starts a thread."""
    for name in LOADED:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)


def run_step(step: dict[str, Any], folder: Path) -> None:
    """Run the program in a forked child, and exit with its code."""
    from tunecli import failpoints
    from tunecli.cli import main

    os.chdir(folder)
    out = os.open("out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    err = os.open("err.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(err, 2)
    if "failpoint" in step:
        mode, at = step["failpoint"]
        failpoints.arm(mode, at, folder / "failpoints.txt")
    code = 0
    try:
        main(step["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def next_step(task: dict[str, Any], at: int) -> int:
    """Index of the first step from ``at`` on that runs: its file ``where`` exists, and its file ``unless`` does not."""
    folder, steps = Path(task["folder"]), task["steps"]
    while at < len(steps) and (
        ("unless" in steps[at] and (folder / steps[at]["unless"]).exists())
        or ("where" in steps[at] and not (folder / steps[at]["where"]).exists())
    ):
        at += 1
    return at


def main() -> None:
    """Run all tasks and print how each step ended."""
    tasks = json.loads(Path(sys.argv[1]).read_text())
    load_everything()
    gc.freeze()  # else each child's first collection copies the shared pages
    ends: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    waiting, running = [(name, 0) for name in reversed(tasks)], {}
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            name, at = waiting.pop()
            task = tasks[name]
            at = next_step(task, at)
            if at == len(task["steps"]):
                continue
            child = os.fork()
            if child == 0:
                run_step(task["steps"][at], Path(task["folder"]))
            running[child] = name, at
        if running:
            child, status = os.wait()
            name, at = running.pop(child)
            said = (Path(tasks[name]["folder"]) / "err.txt").read_text(errors="replace")[-2000:]
            ends[name].append({"ended": os.waitstatus_to_exitcode(status), "stderr": said})
            waiting.append((name, at + 1))
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
