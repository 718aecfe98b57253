"""A program and its children end with the parent, and never block on unread output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import psutil
import pytest

from tunecli.train.user_code.program import Program


def program(text: str, folder) -> Program:
    return Program(["/bin/sh", "-c", text], folder, os.environ)


def test_lines_and_exit_code_are_returned(tmp_path):
    with program("echo one; echo two >&2; printf three; exit 4", tmp_path) as found:
        assert [*found.lines()] == [("one", "stdout"), ("two", "stderr"), ("three", "stdout")]
        assert found.wait() == 4
        assert found.stderr_tail == "two\n"


def test_much_output_on_both_pipes_blocks_nothing(tmp_path):
    text = "for pipe in 1 2; do yes 0123456789 | head -n 100000 >&$pipe; done; echo end"
    with program(text, tmp_path) as found:
        assert Counter(line.stream for line in found.lines()) == {"stdout": 100_001, "stderr": 100_000}
        assert found.wait() == 0
        assert len(found.stderr_tail) == 65536


def test_endless_line_takes_no_memory_and_is_left_out(tmp_path):
    with program("head -c 3000000 /dev/zero; echo; echo after", tmp_path) as found:
        assert [line.text for line in found.lines()] == ["after"]


def test_output_that_is_not_text_is_read(tmp_path):
    with program(r"printf 'a\377b\n'", tmp_path) as found:
        assert [line.text for line in found.lines()] == ["a\ufffdb"]


def test_child_left_behind_neither_delays_nor_outlives_the_program(tmp_path):
    os.mkfifo(tmp_path / "go")
    with program("sleep 600 & echo $!; cat go", tmp_path) as found:
        lines = found.lines()
        left = psutil.Process(int(next(lines).text))
        (tmp_path / "go").write_text("")
        assert list(lines) == []
        assert found.wait() == 0
        assert psutil.wait_procs([left], timeout=10)[1] == []


def test_stop_sends_sigterm_and_waits(tmp_path):
    text = "trap 'yes x | head -n 100000; echo bye; exit 7' TERM; echo here; sleep 600 & wait"
    with program(text, tmp_path) as found:
        assert next(found.lines()).text == "here"
        found.stop(60)
        assert found.wait() == 7


def test_program_that_ignores_sigterm_is_killed(tmp_path):
    text = "trap '' TERM; echo here; while :; do sleep 0.05; done"
    with program(text, tmp_path) as found:
        assert next(found.lines()).text == "here"
        found.stop(0.2)
        assert found.wait(lambda: True) is None
    assert found.wait() == -signal.SIGKILL


def test_program_that_leaves_its_group_is_killed(tmp_path):
    text = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(30)"
    with Program([sys.executable, "-c", text], tmp_path, os.environ) as found:
        next(found.lines())
    assert found.wait() == -signal.SIGKILL


def test_program_that_closes_its_output_is_awaited(tmp_path):
    with program("exec >&- 2>&-; sleep 0.1; exit 5", tmp_path) as found:
        assert list(found.lines()) == []
        assert found.wait() == 5


def test_failed_start_leaves_no_guard(tmp_path):
    before = psutil.Process().children(recursive=True)
    with pytest.raises(FileNotFoundError):
        Program(["/no/such/program"], tmp_path, os.environ)
    assert psutil.Process().children(recursive=True) == before


def test_signals_blocked_in_a_worker_reach_its_program(tmp_path):
    blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    handlers = {number: signal.getsignal(number) for number in blocked}
    try:
        with program("kill -TERM $$; echo deaf", tmp_path) as found:
            assert list(found.lines()) == []
            assert found.wait() == -signal.SIGTERM
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) >= blocked
        assert {number: signal.getsignal(number) for number in blocked} == handlers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_program_and_children_die_with_a_killed_parent(tmp_path):
    script = (
        "import os, sys\n"
        "from tunecli.train.user_code.program import Program\n"
        "from pathlib import Path\n"
        "text = 'trap \"\" TERM INT HUP; sleep 600 & echo $$ $!; wait'\n"
        "with Program(['/bin/sh', '-c', text], Path('.'), os.environ) as program:\n"
        "    for line in program.lines():\n"
        "        print(line.text, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        programs = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
        assert len(programs) == 2
        parent.kill()
        assert psutil.wait_procs(programs, timeout=10)[1] == []
