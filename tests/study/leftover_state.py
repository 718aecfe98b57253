"""Source text of a user module: each kind of state that a trial can leave in its process, and how a later trial detects it."""

LEFT = '''
import atexit
import builtins
import decimal
import faulthandler
import gc
import json
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy
import torch

HERE = Path(__file__).parent
RNG = numpy.random.default_rng(0)
FIRST = float(numpy.random.default_rng(0).normal())
seen_here = []
kept = []


def child():
    process = subprocess.Popen(["sleep", "600"], start_new_session=bool(len(kept) % 2))
    kept.append(process)
    with open(HERE / "children.txt", "a") as file:
        file.write(f"{process.pid}\\n")


def forked_child():
    number = os.fork()
    if number == 0:
        signal.pause()
        os._exit(0)
    with open(HERE / "children.txt", "a") as file:
        file.write(f"{number}\\n")


def daemon_child():
    if os.fork() == 0:
        os.setsid()
        number = os.fork()
        if number:
            with open(HERE / "children.txt", "a") as file:
                file.write(f"{number}\\n")
            os._exit(0)
        signal.pause()
        os._exit(0)
    os.wait()


def lives(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def a_child_lives():
    """Whether a child of an earlier trial lives; False while trials run at the same time."""
    path = HERE / "children.txt"
    return (HERE / "alone").exists() and path.exists() and any(lives(int(line)) for line in path.read_text().split())


STATE = {
    "folder": (lambda: os.chdir("/"), lambda: os.getcwd() == "/"),
    "environment": (lambda: os.environ.update(LEFT="1"), lambda: "LEFT" in os.environ),
    "path": (lambda: sys.path.insert(0, "/left"), lambda: "/left" in sys.path),
    "arguments": (lambda: sys.argv.append("left"), lambda: "left" in sys.argv),
    "modules": (lambda: sys.modules.update(left_over=sys), lambda: "left_over" in sys.modules),
    "module state": (lambda: seen_here.append(1), lambda: bool(seen_here)),
    "module generator": (lambda: RNG.normal(), lambda: RNG.bit_generator.state != numpy.random.default_rng(0).bit_generator.state),
    "monkeypatch": (lambda: setattr(json, "left", 1), lambda: hasattr(json, "left")),
    "builtins": (lambda: setattr(builtins, "left", 1), lambda: hasattr(builtins, "left")),
    "warnings": (lambda: warnings.filterwarnings("error", message="left"), lambda: any(each[1] and each[1].pattern == "left" for each in warnings.filters)),
    "signal handler": (lambda: main_only(lambda: signal.signal(signal.SIGUSR1, print)), lambda: signal.getsignal(signal.SIGUSR1) is print),
    "ignored interrupt": (lambda: main_only(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)), lambda: signal.getsignal(signal.SIGINT) == signal.SIG_IGN),
    "blocked signal": (lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]), lambda: signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "alarm": (lambda: signal.setitimer(signal.ITIMER_REAL, 3600), lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 1800),
    "umask": (lambda: os.umask(0o777), lambda: os.umask(0o022) == 0o777),
    "locale": (lambda: locale.setlocale(locale.LC_NUMERIC, "C.UTF-8"), lambda: locale.setlocale(locale.LC_NUMERIC) == "C.UTF-8"),
    "recursion": (lambda: sys.setrecursionlimit(4321), lambda: sys.getrecursionlimit() == 4321),
    "switch interval": (lambda: sys.setswitchinterval(0.5), lambda: sys.getswitchinterval() == 0.5),
    "logging": (lambda: logging.basicConfig(level=7), lambda: logging.root.level == 7),
    "logging off": (lambda: logging.disable(50), lambda: logging.root.manager.disable == 50),
    "collector": (gc.disable, lambda: not gc.isenabled()),
    "exception hook": (lambda: setattr(sys, "excepthook", print), lambda: sys.excepthook is print),
    "hook of threads": (lambda: setattr(threading, "excepthook", print), lambda: threading.excepthook is print),
    "temporary folder": (lambda: setattr(tempfile, "tempdir", "/left"), lambda: tempfile.tempdir == "/left"),
    "sockets": (lambda: socket.setdefaulttimeout(7.0), lambda: socket.getdefaulttimeout() == 7.0),
    "decimals": (lambda: setattr(decimal.getcontext(), "prec", 3), lambda: decimal.getcontext().prec == 3),
    "random": (lambda: random.seed(12345), lambda: random.getstate() == random.Random(12345).getstate()),
    "numpy's errors": (lambda: numpy.seterr(all="raise"), lambda: numpy.geterr()["divide"] == "raise"),
    "torch's dtype": (lambda: torch.set_default_dtype(torch.float16), lambda: torch.get_default_dtype() is torch.float16),
    "torch's threads": (lambda: torch.set_num_threads(3), lambda: torch.get_num_threads() == 3),
    "torch's flags": (lambda: setattr(torch.backends.cudnn, "benchmark", True), lambda: torch.backends.cudnn.benchmark),
    "torch's anomalies": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "open file": (lambda: kept.append(open(HERE / "held.txt", "w")), lambda: any("held.txt" in os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())),
    "limit": (lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), lambda: False),
    "fault handler": (faulthandler.enable, faulthandler.is_enabled),
    "thread": (lambda: threading.Thread(target=threading.Event().wait, daemon=True, name="left").start(), lambda: any(thread.name == "left" for thread in threading.enumerate())),
    "start method": (lambda: multiprocessing.set_start_method("spawn"), lambda: multiprocessing.get_start_method(allow_none=True) == "spawn"),
    "child": (child, a_child_lives),
    "child of another session": (child, a_child_lives),
    "forked child": (forked_child, a_child_lives),
    "daemon": (daemon_child, a_child_lives),
}
UNSAFE = {"torch's dtype", "umask", "numpy's errors", "warnings", "folder"}


def main_only(act):
    if threading.current_thread() is threading.main_thread():
        act()


def leave(but=()):
    """Fail if a state of an earlier trial is left; then leave every state but those named in ``but``."""
    found = [name for name, (_, is_seen) in STATE.items() if is_seen()]
    if found:
        raise AssertionError("left behind: " + ", ".join(found))
    for name, (act, _) in STATE.items():
        if name not in but:
            act()


def train(params, trial):
    leave()
    return {"val_loss": params["x"] + float(numpy.random.rand())}


class Net(torch.nn.Module):
    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.layer = torch.nn.Linear(input_shape[0], n_outputs)
        leave(UNSAFE)

    def forward(self, x):
        return self.layer(x)


class Loss(torch.nn.Module):
    def __init__(self):
        super().__init__()
        leave(UNSAFE)

    def forward(self, outputs, targets):
        return torch.nn.functional.cross_entropy(outputs, targets)


class Step(torch.optim.SGD):
    def __init__(self, parameters, lr=0.1):
        super().__init__(parameters, lr=lr)
        leave(UNSAFE)


def data():
    leave(UNSAFE)
    y = numpy.arange(60) % 3
    return numpy.random.rand(60, 4) + y[:, None], y


calls = []


def score(outputs, targets):
    calls.append(1)
    if len(calls) == 1:
        leave(UNSAFE)
    return (outputs.argmax(1) == targets).double().mean()
'''
