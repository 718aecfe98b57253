"""The engine `ray` beside `local`: trials a second, idle workers, start, memory, the bridge, many slots, and Ray Tune.

    python -m tests.benchmarks.ray_cluster [turnover] [idle] [start] [memory] [kill] [bridge] [slots] [tune] [--runs 3]

- turnover: 1,000 trials that cost nothing on two workers, between the first and the last result, in alternating runs;
  with a process for each trial as usual, and without (``run.isolate: off``), where a trial takes the least time.
- idle: trials of 0.3 s that compute nothing: the share of the workers' time without a trial.
- start: from the start of the process to the first result, on a cluster that runs.
- memory: proportional set size of all processes of an agent with two workers, a worker.
- kill: from SIGKILL of the process that holds the record to the end of all agents and workers.
- bridge: processor time of a poll through the bridge, beside a call of Ray from the same process, with 2 and 8 agents.
- slots: the coordinator with 1,000 slots on agents that simulate trials: trials a second, and epochs a second.
- tune: the same sweep of digits in Ray Tune (``--python``: an interpreter that has ``ray[tune]`` and torch), on the same
  cluster; whole processes, with ``--trials`` trials.

Figures of a machine with two cores, medians of 3 runs in turn: trials that cost nothing 96 a second, on `local` 122, and
242 and 340 without a process for each; idle 4.2 % (`local` 3.0 %); first result after 3.3 s (`local` 1.1 s); 189 MiB a
worker; 1,000 slots: 2,046 trials and 43,983 epochs a second of a core. 32 trials of digits take 9.7 s (`local` 6.8 s, Ray
Tune 90 s), and 256 trials, in one run, 23 s (`local` 21 s, Ray Tune 784 s).

While other programs ran, a call costs 387 us of Ray in one process and 504 us through the bridge with 2 agents, 345 and 429 us with 8. The hop to
another process cannot be free: a round trip of 300 bytes through a socket that does nothing else costs 50 us on that
machine, which are two system calls and a wakeup on each side. Frames of calls and answers without JSON cost 110 us in
place of 153 us.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from tests.benchmarks.overhead import Stopwatch
from tests.support.ray_cluster import RayCluster
from tunecli.commands.check import load_checked
from tunecli.engine.cluster.protocol import AgentFacts, AgentSetup, CallFailed, Reply, Resources
from tunecli.engine.cluster.wire import Batch, Item, Kind, pack_batch, pack_facts, unpack_order, unpack_poll
from tunecli.engine.protocol import Capacity
from tunecli.engine.ray import engine as ray_engine
from tunecli.engine.ray.transport import Connection, RayTransport
from tunecli.engine.versions import software_versions
from tunecli.messages import Ended, EpochEnded, Event, Job, Started
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep
from tunecli.trial import Outcome, State

FUNCTION = """\
import time


def train(params, trial):
    time.sleep(params["seconds"])
    return {"loss": (params["x"] - 0.3) ** 2}
"""
STUDY = """\
study: cluster
seed: 1
objective: {metric: loss, direction: minimize}
trial: {python: "mine:train", params: {seconds: %(seconds)s, x: {uniform: [0, 1]}}}
search: {sampler: random, trials: %(n_trials)d, lookahead: %(lookahead)d}
run: {device: cpu, workers: %(n_workers)d, isolate: %(isolate)s, engine: %(engine)s, ray: {address: "%(address)s"}}
"""
DIGITS = """\
study: digits
seed: 1
objective: {metric: val_accuracy}
trial:
  data: {source: digits}
  model: {name: mlp, hidden: [64, 64]}
  optimizer: {name: adamw, lr: {loguniform: [1e-5, 1e-1]}}
  training: {epochs: 20, batch_size: 64}
search: {sampler: random, trials: %(n_trials)d}
run: {device: cpu, workers: 2, fuse: 1, engine: %(engine)s, ray: {address: "%(address)s"}}
"""
TUNE = """\
import sys

import numpy as np
import ray
import torch
from ray import tune
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

x, y = load_digits(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
mean, std = x_train.mean(0), x_train.std(0) + 1e-8
parts = [torch.tensor((part - mean) / std, dtype=torch.float32) for part in (x_train, x_valid)]
targets = [torch.tensor(part, dtype=torch.int64) for part in (y_train, y_valid)]


def train(config):
    torch.set_num_threads(1)
    (x_train, x_valid), (y_train, y_valid) = parts, targets
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
    for _ in range(20):
        for batch in torch.randperm(len(x_train)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(x_valid).argmax(1) == y_valid).float().mean().item()
        tune.report({"accuracy": accuracy})


ray.init(address=sys.argv[2] or None, log_to_driver=False, include_dashboard=False)
tuner = tune.Tuner(
    tune.with_resources(train, {"cpu": 1}),
    param_space={"lr": tune.loguniform(1e-5, 1e-1)},
    tune_config=tune.TuneConfig(num_samples=int(sys.argv[1]), metric="accuracy", mode="max"),
    run_config=tune.RunConfig(verbose=0),
)
print(tuner.fit().get_best_result().metrics["accuracy"])
"""


@dataclass(frozen=True)
class Times:
    """The times of a sweep as a process.

    Attributes:
        first_s: from its start to the first result.
        between_s: from the first result to the last.
        whole_s: of the process.
        busy_s: sum over the trials.
    """

    first_s: float
    between_s: float
    whole_s: float
    busy_s: float


def run(text: str) -> Times:
    """Run a study as a process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.py").write_text(FUNCTION)
        (folder / "study.yaml").write_text(text)
        began, began_at = time.perf_counter(), datetime.now().astimezone()
        command = [sys.executable, "-m", "tunecli", "search", "study.yaml", "--out", "run"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        whole_s = time.perf_counter() - began
        with closing(sqlite3.connect(folder / "run" / "study.db")) as database:
            rows = database.execute("SELECT at, seconds FROM result").fetchall()
        ends = sorted(datetime.fromisoformat(at).astimezone() for at, _ in rows)
        first_s, between_s = (ends[0] - began_at).total_seconds(), (ends[-1] - ends[0]).total_seconds()
        return Times(first_s, between_s, whole_s, sum(seconds for _, seconds in rows))


def study(
    engine: str,
    address: str,
    seconds: float = 0.0,
    n_trials: int = 1000,
    n_workers: int = 2,
    *,
    is_isolated: bool = True,
) -> str:
    """The study of trials that compute nothing."""
    return STUDY % {
        "engine": engine,
        "address": address,
        "seconds": seconds,
        "n_trials": n_trials,
        "n_workers": n_workers,
        "isolate": "on" if is_isolated else "off",
        "lookahead": n_workers + 1,
    }


def in_turn(texts: dict[str, str], n_runs: int) -> dict[str, list[Times]]:
    """Run the studies in turn, so that a slow phase of the machine meets all of them."""
    found: dict[str, list[Times]] = {name: [] for name in texts}
    for _ in range(n_runs):
        for name, text in texts.items():
            found[name].append(run(text))
    return found


def turnover(address: str, n_runs: int) -> None:
    for isolate in ("on", "off"):
        texts = {engine: study(engine, address, is_isolated=isolate == "on") for engine in ("local", "ray")}
        times = in_turn(texts, n_runs)
        rates = {name: [999 / each.between_s for each in found] for name, found in times.items()}
        for name, found in rates.items():
            print(
                f"turnover  isolate: {isolate:>3}  {name:>5}  {statistics.median(found):7.0f} trials/s  of {[round(rate) for rate in found]}"
            )
        ratio = statistics.median(
            ray / local for local, ray in zip(rates["local"], rates["ray"], strict=True)
        )
        print(f"turnover  isolate: {isolate:>3}  ratio  {ratio:.2f}  (goal: 0.35)")


def idle(address: str, n_runs: int) -> None:
    texts = {engine: study(engine, address, 0.3, 60) for engine in ("local", "ray")}
    for name, found in in_turn(texts, n_runs).items():
        # The time between results holds all trials but the first two, on two workers.
        shares = [1 - (each.busy_s - 2 * each.busy_s / 60) / (2 * each.between_s) for each in found]
        print(
            f"idle      {name:>5}  {statistics.median(shares):7.1%}  of {[round(share, 3) for share in shares]}  (goal: 5 %)"
        )


def start(address: str, n_runs: int) -> None:
    texts = {engine: study(engine, address, n_trials=4) for engine in ("local", "ray")}
    times = in_turn(texts, n_runs)
    for name, found in times.items():
        print(
            f"start     {name:>5}  {statistics.median(each.first_s for each in found):7.2f} s to the first result, {statistics.median(each.whole_s for each in found):.2f} s in all"
        )
    gap = statistics.median(
        ray.first_s - local.first_s for local, ray in zip(times["local"], times["ray"], strict=True)
    )
    print(f"start     more   {gap:.2f} s  (goal: 4 s)")


def memory(cluster: RayCluster) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(
            DIGITS % {"engine": "ray", "address": cluster.address, "n_trials": 60}
        )
        command = [sys.executable, "-m", "tunecli", "search", "study.yaml", "--out", "run"]
        driver = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most: tuple[float, list[str]] = (0.0, [])
        while driver.poll() is None:
            sizes = {}
            for agent in cluster.agents():
                for process in [agent, *agent.children(recursive=True)]:
                    try:
                        sizes[f"{process.name()} {process.pid}"] = process.memory_full_info().pss / 2**20
                    except psutil.Error:
                        continue
            if sum(sizes.values()) > most[0]:
                most = sum(sizes.values()), [f"{who} {size:.0f}" for who, size in sizes.items()]
            time.sleep(0.1)
    print(f"memory    {most[0] / 2:.0f} MiB a worker (goal: 200), at most: {', '.join(most[1])}")


def kill(cluster: RayCluster, n_runs: int) -> None:
    found = []
    for _ in range(n_runs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "mine.py").write_text(FUNCTION)
            (folder / "study.yaml").write_text(study("ray", cluster.address, 30.0, 4))
            command = [sys.executable, "-m", "tunecli", "search", "study.yaml", "--out", "run"]
            driver = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while len(workers := _below(cluster)) < 4:  # an agent, its fork server, and two workers
                time.sleep(0.1)
            driver.kill()
            driver.wait()
            began = time.perf_counter()
            while any(map(_lives, workers)):
                time.sleep(0.01)
            found.append(time.perf_counter() - began)
    print(
        f"kill      all former processes gone after {statistics.median(found):.2f} s, at most {max(found):.2f} s (goal: 5 s)"
    )


def _below(cluster: RayCluster) -> list[psutil.Process]:
    return [process for agent in cluster.agents() for process in [agent, *agent.children(recursive=True)]]


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


ECHO = "tests.support.echo_agent:EchoAgent"
DIRECT = """\
import os, resource, sys, time
sys.path.insert(0, os.getcwd())
import ray
from tunecli.engine.ray import actor
from tunecli.engine.cluster.protocol import AgentSetup
from tunecli.engine.cluster.wire import pack_setup
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
setup = pack_setup(AgentSetup("direct", "direct", 1)).decode()
version = __import__("tunecli").__version__
made = ray.remote(actor.Actor).options(num_cpus=0.1, max_concurrency=8)
agents = [made.remote(sys.argv[2], version, 1, setup) for _ in range(int(sys.argv[4]))]
ray.get([agent.call.remote(b"hello\\n{}") for agent in agents])
def used():
    here = resource.getrusage(resource.RUSAGE_SELF)
    return here.ru_utime + here.ru_stime
began, began_s = used(), time.perf_counter()
for _ in range(int(sys.argv[3])):
    refs = [agent.call.remote(b"echo\\n" + b"x" * 200) for agent in agents]
    while refs:
        ready, refs = ray.wait(refs, num_returns=1)
        ray.get(ready)
print(used() - began, time.perf_counter() - began_s)
"""


def bridge(address: str, n_runs: int, n_agents: int, n_calls: int = 6000) -> None:
    """Compare calls through the bridge with calls of Ray from one process; all agents answer at once."""
    names, n_rounds = [f"{n}" for n in range(n_agents)], n_calls // n_agents
    directs, ours, parents = [], [], []
    for _ in range(n_runs):
        done = subprocess.run(
            [sys.executable, "-c", DIRECT, address, ECHO, str(n_rounds), str(n_agents)],
            capture_output=True,
            text=True,
            check=True,
        )
        directs.append(float(done.stdout.splitlines()[-1].split()[0]) / n_calls * 1e6)
        transport = RayTransport(Connection(address), agent=ECHO)
        for agent in names:
            transport.hire(agent, AgentSetup("bridged", "bridged", 1), Resources(0.1))
        _take(transport, n_agents)
        child = psutil.Process(transport.bridge.process_id)
        before, own = sum(child.cpu_times()[:2]), _used_s()
        for _ in range(n_rounds):
            for agent in names:
                transport.call(agent, "echo", b"x" * 200)
            _take(transport, n_agents)
        used, own = sum(child.cpu_times()[:2]) - before, _used_s() - own
        ours.append((used + own) / n_calls * 1e6)
        parents.append(own / n_calls * 1e6)
        transport.close()
    direct, bridged, parent = map(statistics.median, (directs, ours, parents))
    print(
        f"bridge    {n_agents} agents, a call: {direct:.0f} us of Ray in one process, {bridged:.0f} us with the bridge "
        f"({parent:.0f} of them in the coordinator): {bridged / direct - 1:+.0%}, "
        f"in pairs {statistics.median(one / other - 1 for one, other in zip(ours, directs, strict=True)):+.0%} (goal: +10 %)"
    )


def _used_s() -> float:
    here = resource.getrusage(resource.RUSAGE_SELF)
    return here.ru_utime + here.ru_stime


def _take(transport: RayTransport, n: int) -> None:
    n_came = 0
    while n_came < n:
        n_came += sum(1 for _ in transport.replies(30.0))


@dataclass
class _Simulated:
    """An agent whose trials end at once.

    Attributes:
        n_slots: its slots.
        items: the events that no poll has taken.
        poll: the call that waits for events; 0: none.
        n_batches: number of batches that were taken.
    """

    n_slots: int
    items: list[Item] = field(default_factory=list)
    poll: int = 0
    n_batches: int = 0


class SimulatedTransport:
    """A `Transport` to simulated agents in this process, with messages as bytes."""

    n_epochs = 1
    slots_per_agent = 8
    agents_s = 0.0  # processor time of the agents' part, which other machines would spend

    def __init__(self, *_: object, **__: object) -> None:
        self._agents: dict[str, _Simulated] = {}
        self._came: deque[Reply | CallFailed] = deque()
        self._n_calls = 0

    def share(self, blobs: Sequence[bytes]) -> None: ...

    def end_former(self, study: str) -> int:
        return 0

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        each = self.slots_per_agent
        return [each] * (n_slots // each) + ([n_slots % each] if n_slots % each else [])

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        self._agents[agent] = _Simulated(setup.n_slots)
        facts = AgentFacts(
            "simulated", agent, 1, setup.n_slots, versions=dict(software_versions()), is_shared=True
        )
        return self._reply(agent, pack_facts(facts))

    def _reply(self, agent: str, message: bytes, call: int = 0) -> int:
        if not call:
            self._n_calls += 1
            call = self._n_calls
        self._came.append(Reply(agent, call, message))
        return call

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        simulated = self._agents[agent]
        self._n_calls += 1
        call = self._n_calls
        began_s = time.process_time()
        if method == "poll":
            order = unpack_poll(message).order
            simulated.poll = call
        else:
            order = unpack_order(message)
            self._reply(agent, b"{}", call)
        if order is not None and order.kind is Kind.SUBMIT:
            for job in order.jobs:
                simulated.items += map(Item, self._events_of(job))
        self._answer_poll(agent, simulated)
        SimulatedTransport.agents_s += time.process_time() - began_s
        return call

    def _events_of(self, job: Job) -> Iterator[Event]:
        loss, n = {"loss": (job.task.seed % 9973) / 9973}, self.n_epochs
        yield Started(job.number, job.attempt, "cpu", 1)
        for epoch in range(1, n + 1):
            yield EpochEnded(job.number, job.attempt, epoch, n, loss, 0.0)
        yield Ended(job.number, job.attempt, Outcome(State.COMPLETE, loss["loss"], loss, n, n))

    def _answer_poll(self, agent: str, simulated: _Simulated) -> None:
        if simulated.poll and simulated.items:
            simulated.n_batches += 1
            batch = pack_batch(Batch(simulated.n_batches, simulated.items))
            simulated.items = []
            self._came.append(Reply(agent, simulated.poll, batch))
            simulated.poll = 0

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        came, self._came = self._came, deque()
        yield from came

    def dismiss(self, agent: str) -> None: ...

    def reconnect(self) -> bool:
        return True

    def close(self) -> None: ...


def slots(n_runs: int, n_slots: int = 1000) -> None:
    """Run the coordinator, the engine and the record on agents that simulate trials; the disk is in memory."""
    engine: Any = ray_engine
    engine.RayTransport = SimulatedTransport
    engine._connection = lambda address: SimpleNamespace(resolved="simulated")
    engine.capacity = lambda run: Capacity(n_slots)
    for n_epochs, n_trials in ((1, 8000), (100, 2000)):
        SimulatedTransport.n_epochs = n_epochs
        rates = []
        for _ in range(n_runs):
            with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
                folder, watch = Path(name), Stopwatch()
                (folder / "mine.py").write_text(FUNCTION)
                (folder / "study.yaml").write_text(study("ray", "auto", 0.0, n_trials, n_slots))
                with begin(load_checked(folder / "study.yaml", ()), folder / "run") as opened:
                    SimulatedTransport.agents_s, began_s = 0.0, time.process_time()
                    sweep(opened, watch)
                    rates.append(n_trials / (time.process_time() - began_s - SimulatedTransport.agents_s))
        rate = statistics.median(rates)
        print(
            f"slots     {n_slots} slots, {n_epochs} epochs a trial: {rate:.0f} trials/s and {rate * n_epochs:.0f} epochs/s of a core (goals: 700, 15,000)"
        )


def tune(address: str, python: str, n_runs: int, sizes: Sequence[int]) -> None:
    for n_trials in sizes:
        found: dict[str, list[float]] = {}
        for _ in range(n_runs):
            for engine in ("local", "ray"):
                text = DIGITS % {"engine": engine, "address": address, "n_trials": n_trials}
                found.setdefault(engine, []).append(run(text).whole_s)
            began = time.perf_counter()
            subprocess.run([python, "-c", TUNE, str(n_trials), address], check=True, capture_output=True)
            found.setdefault("Ray Tune", []).append(time.perf_counter() - began)
        for name, seconds in found.items():
            print(f"tune      {n_trials:>3} trials  {name:>8}  {statistics.median(seconds):7.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("turnover", "idle", "start", "memory", "kill", "bridge", "slots", "tune")
    parser.add_argument("parts", nargs="*", default=list(names[:-1]))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--trials", type=int, nargs="+", default=[32, 256])
    options = parser.parse_args()
    with_cluster: dict[str, Callable[[RayCluster], object]] = {
        "turnover": lambda cluster: turnover(cluster.address, options.runs),
        "idle": lambda cluster: idle(cluster.address, options.runs),
        "start": lambda cluster: start(cluster.address, options.runs),
        "memory": memory,
        "kill": lambda cluster: kill(cluster, options.runs),
        "bridge": lambda cluster: [bridge(cluster.address, options.runs, n) for n in (2, 8)],
        "tune": lambda cluster: tune(cluster.address, options.python, options.runs, options.trials),
    }
    if asked := [with_cluster[part] for part in options.parts if part in with_cluster]:
        with RayCluster([2]) as cluster:
            for part in asked:
                part(cluster)
    if "slots" in options.parts:
        slots(options.runs)


if __name__ == "__main__":
    main()
