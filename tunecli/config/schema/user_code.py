"""Trials that are the user's own: a Python function, or a program in any language.

Either gets ``params`` as they stand in the file, ranges replaced by values, and reports metrics of any name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tunecli.knob import Knob, Seed

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
CODE_NAME = rf"^{_DOTTED}:{_DOTTED}$"
CodeName = Annotated[str, Field(pattern=CODE_NAME)]


class UserCode(Knob):
    """The user's own: ``python: module:name``, the module beside the file; ``args`` go to it by name."""

    name: Literal["python"] = "python"
    python: CodeName
    args: dict[str, Any] = {}


METRIC_NAME = r"[A-Za-z][A-Za-z0-9_./-]*"


def _with_one_group(pattern: str) -> str:
    try:
        n_groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    except RecursionError:
        raise ValueError("this regular expression is nested too deeply") from None
    if n_groups != 1:
        raise ValueError(f"one group must hold the number; this has {n_groups}: loss=([0-9.eE+-]+)")
    return pattern


METRIC_KEY = f"^{METRIC_NAME}$"
MetricName = Annotated[str, Field(pattern=METRIC_KEY)]


def _with_a_program(command: Any) -> Any:
    if command == []:
        raise ValueError("this names no program: write it first, then its arguments, [python, train.py]")
    return command


MetricPattern = Annotated[str, Field(max_length=1000), AfterValidator(_with_one_group)]


class FunctionTrial(Knob):
    """A whole training function of the user's own, ``train(params, trial)``, in a module beside the file."""

    python: CodeName
    params: dict[str, Any] = {}
    seed: Seed | None = None


class CommandTrial(Knob):
    """A program; ``{optimizer.lr}`` in an argument is a path under ``params``.

    Its metrics are JSON lines on its stdout, or what the one group of each regular expression in ``metrics`` finds.
    """

    command: Annotated[list[str | int | float], Field(min_length=1), BeforeValidator(_with_a_program)]
    params: dict[str, Any] = {}
    metrics: dict[MetricName, MetricPattern] = {}
    seed: Seed | None = None
