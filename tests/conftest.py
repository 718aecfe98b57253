"""Settings of all tests: the order of the files, and which random examples are tried."""

from __future__ import annotations

import gc
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.support.read_only import open_path, read_only  # noqa: F401  # fixtures, found here by every test

# A busy machine must not fail a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ordinary", settings.get_profile("patient"), derandomize=True, database=None, max_examples=30
)
settings.register_profile("explore", settings.get_profile("patient"), print_blob=True, max_examples=200)

_LONGEST = (
    "tests/contracts/test_engines.py",
    "tests/study/test_prefork.py",
    "tests/engine/test_fork_server.py",
    "tests/registry/test_extending.py",
    "tests/study/test_user_code.py",
    "tests/console/test_terminals.py",
    "tests/console/test_every_output.py",
    "tests/train/fused/test_oracle.py",
    "tests/train/test_checkpoint.py",
    "tests/train/user_code/test_isolation.py",
    "tests/study/test_failpoints.py",
    "tests/study/runner/test_pause_schedule.py",
    "tests/study/runner/test_stopping_rule.py",
    "tests/study/test_user_programs.py",
    "tests/study/test_leftover_state.py",
    "tests/study/test_confirm_failpoints.py",
    "tests/study/test_sweep.py",
    "tests/test_cli.py",
    "tests/config/test_hostile.py",
    "tests/train/test_default_optimizer.py",
    "tests/study/test_goals.py",
    "tests/study/plan/test_fusing.py",
    "tests/study/test_secrets.py",
    "tests/train/test_compilation_put_off.py",
    "tests/commands/test_export.py",
    "tests/commands/test_report_page.py",
    "tests/search/samplers/test_bayes.py",
    "tests/study/test_confirming.py",
    "tests/contracts/test_samplers.py",
    "tests/contracts/test_pruners.py",
    "tests/search/pruners/test_freeze_thaw.py",
    "tests/search/test_importance.py",
    "tests/study/test_stateful.py",
    "tests/store/test_power_loss.py",
    "tests/study/runner/test_jobs.py",
    "tests/results/test_confidence_coverage.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Try the same examples in every run, unless ``--hypothesis-profile`` names another profile.

    With ``--dist loadfile``, keep the order of the files: xdist would begin with the files of the most tests.
    """
    # The tests start some hundred processes, and each would compile the package again (0.4 s). Modules of users are
    # imported later: their bytecode could be older than a file that a test wrote twice within a second.
    sys.dont_write_bytecode = False
    # A shell starts its background jobs with SIGINT ignored, and programs that the tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("ordinary")


def pytest_collection() -> None:
    gc.disable()  # collecting only adds objects: to look for garbage among them takes a sixth of its time


def pytest_collection_finish() -> None:
    # Some hundred thousand objects of the collected tests stay to the end. No test searches them again for garbage.
    gc.freeze()
    gc.enable()
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)  # of `-B` or PYTHONDONTWRITEBYTECODE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that two processes end at the same time; the order within a file stays."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
