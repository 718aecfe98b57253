"""Run verbs in this process."""

from __future__ import annotations

import sys

import pytest

from tunecli.cli import main


def called(
    *arguments: object,
    capture: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[int, str, str]:
    """Run a verb and return its exit code, its stdout and its stderr."""
    words = [str(argument) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["tunecli", *words])
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0), *capture.readouterr()
