"""The process that `tests.support.forked` starts: it loads the program once, and forks for each verb.

It reads one line of JSON per task and answers each with one line: a verb with its exit code, where a negative one is a
signal, or with its process id if it is only started; and several tasks of steps with how each of their steps ended. It starts no thread and no tensor is made in it,
so its forks begin as a new process does after its imports.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

AT_A_TIME = 2
"""Number of tasks whose steps run side by side."""
LOADED = (
    "scipy.stats.qmc",
    "skopt",
    "torch",
    "torch.optim.swa_utils",
    "safetensors.torch",
    "tunecli.__main__",
    "tunecli.cli",
    "tunecli.commands.check",
    "tunecli.commands.confirm",
    "tunecli.commands.report",
    "tunecli.commands.search",
    "tunecli.console.live",
    "tunecli.engine",
    "tunecli.failpoints",
    "tunecli.search.samplers.bayes",
    "tunecli.study.sweep",
    "tunecli.train.loop",
    "tunecli.train.trials",
    "tunecli.train.validation",
)


def enter(folder: str, environment: Mapping[str, str], streams: Sequence[int]) -> None:
    """Give this process its working folder, its environment, and its stdin, stdout and stderr."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # as Python opens them at its start
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    how = {"encoding": encoding or None, "closefd": False}
    sys.stdin = open(0, errors=errors or None, **how)  # noqa: SIM115  # open until the process ends
    is_terminal = os.isatty(1)
    sys.stdout = open(1, "w", 1 if is_terminal else -1, errors=errors or None, **how)  # noqa: SIM115  # as above
    sys.stderr = open(2, "w", 1, errors="backslashreplace", **how)  # noqa: SIM115  # as above


def run(arguments: list[str]) -> None:
    """Become the process of a verb, and exit with its code."""
    sys.argv = ["tunecli", *arguments]
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


def start_verb(task: dict[str, Any]) -> int:
    """Begin one verb in a child; its process id. One that is ``beside`` the test has a session, and adds its output."""
    is_beside = task.get("beside", False)
    child = os.fork()
    if child == 0:
        if is_beside:
            os.setsid()
        out = os.O_WRONLY | (os.O_APPEND if is_beside else 0)
        flags = (os.O_RDONLY, out, out)
        streams = [
            os.open(path, flag | os.O_NOCTTY) for path, flag in zip(task["streams"], flags, strict=True)
        ]
        enter(task["cwd"], task["environment"], streams)
        run(task["arguments"])
    return child


def end_of(child: int) -> int:
    """Wait for the end of a child; its exit code, or the negative number of a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def poll(child: int) -> int | None:
    """How a child ended; None: it runs."""
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def answer_to(task: dict[str, Any]) -> Any:
    """Carry a task out."""
    if "tasks" in task:
        return run_tasks(task["tasks"], task["environment"])
    if "wait" in task:
        return end_of(task["wait"])
    if "poll" in task:
        return poll(task["poll"])
    child = start_verb(task)
    return child if task.get("starts") or task.get("beside") else end_of(child)


def run_step(step: dict[str, Any], folder: Path, environment: Mapping[str, str]) -> None:
    """Become the process of a step, which may have a failpoint, and exit with its code."""
    out = os.open(folder / "out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    err = os.open(folder / "err.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    enter(str(folder), environment, (os.open(os.devnull, os.O_RDONLY), out, err))
    sys.modules["torch"].set_num_threads(1)  # two steps run at a time
    if "failpoint" in step:
        mode, at = step["failpoint"]
        sys.modules["tunecli.failpoints"].arm(mode, at, folder / "failpoints.txt")
    run(step["arguments"])


def next_step(task: dict[str, Any], at: int) -> int:
    """Index of the first step from ``at`` on that runs: its file ``where`` exists, and its file ``unless`` does not."""
    folder, steps = Path(task["folder"]), task["steps"]
    while at < len(steps) and (
        ("unless" in steps[at] and (folder / steps[at]["unless"]).exists())
        or ("where" in steps[at] and not (folder / steps[at]["where"]).exists())
    ):
        at += 1
    return at


def run_tasks(tasks: dict[str, Any], environment: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Run the steps of each task in its own folder; for each step its exit code and the end of its stderr."""
    ends: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    waiting, running = [(name, 0) for name in reversed(tasks)], {}
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            name, at = waiting.pop()
            at = next_step(tasks[name], at)
            if at == len(tasks[name]["steps"]):
                continue
            child = os.fork()
            if child == 0:
                run_step(tasks[name]["steps"][at], Path(tasks[name]["folder"]), environment)
            running[child] = name, at
        if running:
            child, status = os.wait()
            name, at = running.pop(child)
            said = (Path(tasks[name]["folder"]) / "err.txt").read_text(errors="replace")[-2000:]
            ends[name].append({"ended": os.waitstatus_to_exitcode(status), "stderr": said})
            waiting.append((name, at + 1))
    return ends


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # else the first collection of each child copies the shared pages
    for line in sys.stdin:
        print(json.dumps(answer_to(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
