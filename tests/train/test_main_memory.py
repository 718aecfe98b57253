"""The kernel's counters and a program's last output show whether memory ran out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.train.main_memory import is_out_of_memory, n_killed_for_memory

V2 = {"proc/self/cgroup": "0::/user/run\n", "sys/fs/cgroup/user/run/memory.events": "oom 3\noom_kill 2\n"}
CONTAINER = {"proc/self/cgroup": "0::/hidden\n", "sys/fs/cgroup/memory.events": "oom_kill 4\n"}
V1 = {
    "proc/self/cgroup": "5:cpu,memory:/job\n",
    "sys/fs/cgroup/memory/job/memory.oom_control": "oom_kill 5\n",
}
NEITHER = {"proc/vmstat": "nr_free_pages 1\noom_kill 6\n"}


@pytest.mark.parametrize(("files", "count"), [(V2, 2), (CONTAINER, 4), (V1, 5), (NEITHER, 6), ({}, 0)])
def test_kills_are_read_from_the_systems_counters(tmp_path: Path, files: dict[str, str], count: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert n_killed_for_memory(tmp_path) == count


@pytest.mark.parametrize(
    ("words", "is_told"),
    [
        ("MemoryError", True),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 TiB", True),
        ("torch.OutOfMemoryError: CUDA out of memory.", True),
        ("terminate called after throwing an instance of 'std::bad_alloc'", True),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", True),
        ("OSError: [Errno 12] Cannot allocate memory", True),
        ("errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[9]", True),
        ("XlaRuntimeError: RESOURCE_EXHAUSTED: Failed to allocate request", True),
        ("Error: cannot allocate vector of size 7.5 Gb", True),
        ("memory allocation of 8000000000 bytes failed", True),
        ("slurmstepd: error: Detected 1 oom-kill event(s)", True),
        ("ValueError: 3 items out of order", False),
        ("ValueError: the room is exhausted", False),
        ("", False),
    ],
)
def test_the_last_output_of_a_program_shows_whether_memory_ran_out(words: str, is_told: bool) -> None:
    assert is_out_of_memory(words) is is_told
