"""Source text of a user module: one function for each thing that a program may do; the last functions fail, the others return a number."""

PROGRAMS = """
import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import sibling

PARSED = argparse.ArgumentParser().parse_args()


def square(x):
    return x * x


def train(params, trial):
    return globals()[params["what"]](params, trial)


def arguments(params, trial):
    assert len(sys.argv) == 1 and sys.argv[0].endswith("programs.py"), sys.argv
    return 1.0


def beside(params, trial):
    return sibling.VALUE


def relative_file(params, trial):
    return float(Path("number.txt").read_text())


def pool(params, trial):
    import multiprocessing
    with multiprocessing.Pool(2) as workers:
        return sum(workers.map(square, range(4)))


def executor(params, trial):
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(2) as workers:
        return sum(workers.map(square, range(4)))


def executor_that_is_left_open(params, trial):
    from concurrent.futures import ProcessPoolExecutor
    return sum(ProcessPoolExecutor(1).map(square, range(4)))


def spawned(params, trial):
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        return sum(workers.map(square, range(4)))


def start_method(params, trial):
    import multiprocessing
    multiprocessing.set_start_method("forkserver")
    with multiprocessing.Pool(1) as workers:
        return sum(workers.map(square, range(4)))


def terminated(params, trial):
    import multiprocessing
    child = multiprocessing.Process(target=threading.Event().wait)
    child.start()
    child.terminate()
    child.join()
    return -child.exitcode


def subprocess_terminated(params, trial):
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    child.terminate()
    return -child.wait()


def subprocess_read(params, trial):
    import subprocess
    return float(subprocess.run(["echo", "3"], capture_output=True, check=True).stdout)


def handler(params, trial):
    heard = []
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: heard.append(1))
        os.kill(os.getpid(), number)
    return len(heard)


def alarm(params, trial):
    heard = []
    signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    return len(heard)


def main_thread(params, trial):
    import multiprocessing
    assert threading.current_thread() is threading.main_thread()
    assert threading.active_count() == 1
    assert multiprocessing.current_process().name == "MainProcess" and multiprocessing.parent_process() is None
    return 1.0


def asyncio_run(params, trial):
    import asyncio
    async def value():
        await asyncio.sleep(0)
        return 5.0
    return asyncio.run(value())


def asyncio_program(params, trial):
    import asyncio
    async def value():
        child = await asyncio.create_subprocess_exec("true")
        return await child.wait()
    return asyncio.run(value())


def at_exit(params, trial):
    import atexit
    Path("exits").mkdir(exist_ok=True)
    atexit.register(lambda: Path("exits", f"{os.getpid()}").touch())
    return 1.0


def thread_that_ends(params, trial):
    threading.Thread(target=lambda: Path("thread.txt").write_text("done")).start()
    return 1.0


def daemon_thread(params, trial):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return 1.0


def thread_that_reports(params, trial):
    thread = threading.Thread(target=trial.report, args=(1,), kwargs={"val_loss": 4.0})
    thread.start()
    thread.join()


def fork(params, trial):
    child = os.fork()
    if child == 0:
        sys.exit(6)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_that_returns(params, trial):
    child = os.fork()
    if child == 0:
        return 9.0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_that_reports(params, trial):
    child = os.fork()
    if child == 0:
        try:
            trial.report(1, val_loss=9.0)
        except RuntimeError:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fault_handler(params, trial):
    import faulthandler
    faulthandler.enable()
    return float(faulthandler.is_enabled())


def warned(params, trial):
    import warnings
    warnings.simplefilter("error")
    try:
        warnings.warn("no")
    except UserWarning:
        return 1.0


def logged(params, trial):
    import logging
    logging.basicConfig(level=logging.INFO, filename="log.txt")
    logging.info("hello")
    return float("hello" in Path("log.txt").read_text())


def changed_folder(params, trial):
    os.chdir("/")
    return 1.0


def folder_that_is_gone(params, trial):
    gone = trial.checkpoint_dir / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    return 1.0


def no_daemon_is_it(params, trial):
    import multiprocessing
    return float(multiprocessing.current_process().daemon)


def leaves(params, trial):
    sys.exit(3)


def interrupts(params, trial):
    raise KeyboardInterrupt


def leaves_at_once(params, trial):
    os._exit(7)


def aborts(params, trial):
    os.abort()


def killed(params, trial):
    os.kill(os.getpid(), signal.SIGKILL)


def raises(params, trial):
    raise ValueError("no luck")


def too_big(params, trial):
    return bytearray(2**62)
"""
TORCH = """

def loader(params, trial):
    import torch
    data = torch.utils.data.TensorDataset(torch.arange(8.0))
    return sum(float(batch.sum()) for (batch,) in torch.utils.data.DataLoader(data, batch_size=2, num_workers=2))


def loader_that_stays(params, trial):
    import torch
    data = torch.utils.data.TensorDataset(torch.arange(8.0))
    made = torch.utils.data.DataLoader(data, batch_size=2, num_workers=2, persistent_workers=True)
    return sum(float(batch.sum()) for (batch,) in made)


def in_process(rank, total):
    total[rank] += rank + 1.0


def torch_spawn(params, trial):
    import torch.multiprocessing as mp
    total = mp.get_context("spawn").Array("d", [0.0, 0.0])
    mp.spawn(in_process, args=(total,), nprocs=2)
    return sum(total)
"""
