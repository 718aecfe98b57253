"""The user's own code: classes and functions by name, and trials that are a Python function or a program.

An own trial receives ``params`` as in the file, with ranges replaced by values, and reports metrics of any name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from tunecli.config.argument_styles import Arguments
from tunecli.config.placeholders import parse_condition
from tunecli.config.schema.metrics_from import Every, FilesOnly, MetricsFrom
from tunecli.knob import Knob, Seed, Values

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
CODE_NAME = rf"^{_DOTTED}:{_DOTTED}$"
CodeName = Annotated[str, Field(pattern=CODE_NAME)]


class UserCode(Knob):
    """The user's own code, in a module beside the file.

    Attributes:
        python: function or class, as `module:name`.
        args: arguments that are passed to it by name.
    """

    name: Literal["python"] = "python"
    python: CodeName
    args: dict[str, Any] = {}


METRIC_NAME = r"[A-Za-z][A-Za-z0-9_./-]*"


def _with_one_group(pattern: str) -> str:
    try:
        n_groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"invalid regular expression: {error}") from None
    except RecursionError:
        raise ValueError("the regular expression is nested too deeply") from None
    if n_groups != 1:
        raise ValueError(
            f"must have exactly one group, for the number, not {n_groups}; for example loss=([0-9.eE+-]+)"
        )
    return pattern


METRIC_KEY = f"^{METRIC_NAME}$"
MetricName = Annotated[str, Field(pattern=METRIC_KEY)]


def _with_a_program(command: Any) -> Any:
    if command == []:
        raise ValueError("must name a program and its arguments, for example [python, train.py]")
    return command


MetricPattern = Annotated[str, Field(max_length=1000), AfterValidator(_with_one_group)]


ShimName = Annotated[Literal["wandb"], Values({"wandb": "Weights & Biases."})]


class FunctionTrial(Knob):
    """The user's own training function, `train(params, trial)`, in a module beside the file.

    Attributes:
        python: training function, as `module:name`.
        params: parameters that the function receives; any value can be a range.
        metrics_from: file, or list of files, that the function writes metrics to, for a function that does not report.
        every: whether the function reports by epochs, or by steps, which are not counted as epochs.
        shim: package of another tool that tunecli replaces: with `wandb`, `wandb.config` holds the parameters,
            and `wandb.log` reports.
        seed: seed of every trial, instead of one that follows from the study's seed and the trial's number.
    """

    python: CodeName
    params: dict[str, Any] = {}
    metrics_from: FilesOnly = Field([], json_schema_extra={"x-fixed": True})
    every: Every = Field("epoch", json_schema_extra={"x-fixed": True})
    shim: ShimName | None = None
    seed: Seed | None = None


Argument = str | int | float


def _without_bare_braces(argument: Any) -> Any:
    """Refuse ``{lr}`` without quotes, which YAML reads as a map with the key ``lr`` and no value."""
    if isinstance(argument, dict) and len(argument) == 1:
        ((key, value),) = argument.items()
        if value is None and key not in ("if", "then", "else"):
            raise ValueError(f'YAML reads {{{key}}} without quotes as a map: put it in quotes, "{{{key}}}"')
    return argument


def _condition(text: str) -> str:
    parse_condition(text)
    return text


_Text = Annotated[Argument, BeforeValidator(_without_bare_braces)]
_Texts = Annotated[_Text | list[_Text], BeforeValidator(_without_bare_braces)]


class ConditionalArgument(Knob):
    """Arguments that depend on a parameter.

    Attributes:
        if: a parameter that must be true (active, and not false, null, 0 or empty), `optimizer.name == sgd`, or
            `optimizer.name != sgd`.
        then: argument, or list of arguments, if the condition is met; by default none.
        else: argument, or list of arguments, if it is not met; by default none.
    """

    if_: Annotated[str, AfterValidator(_condition)] = Field(alias="if")
    then: _Texts = []
    else_: _Texts = Field([], alias="else")

    def texts(self, *, is_met: bool) -> tuple[Argument, ...]:
        """The arguments of the branch that is taken."""
        taken = self.then if is_met else self.else_
        return tuple(taken) if isinstance(taken, list) else (taken,)


def _kind_of_argument(argument: Any) -> str:
    return "map" if isinstance(argument, dict | ConditionalArgument) else "text"


CommandItem = Annotated[
    Annotated[
        Annotated[Argument, Tag("text")] | Annotated[ConditionalArgument, Tag("map")],
        Discriminator(_kind_of_argument),
    ],
    BeforeValidator(_without_bare_braces),
]


class CommandTrial(Knob):
    """A program that trains. It reports metrics as JSON lines, or through patterns.

    Attributes:
        command: program and arguments. `{optimizer.lr}` in an argument is replaced by that value under `params`, and
            the argument `{args}` by all parameters. `{momentum?}` leaves its argument out if the trial lacks it.
        params: parameters of the command; any value can be a range.
        args: how the program reads its arguments.
        unused: whether `check` refuses a parameter that no argument mentions, or allows it, for a program that reads
            its parameters from the environment.
        metrics: regular expression for each metric, whose one group matches the number in the program's output.
        metrics_from: where the metrics are: `stdout`, `stderr` or `both` outputs, a file such as `{csv: metrics.csv}`,
            or a list of these.
        every: whether the program reports by epochs, or by steps, which are not counted as epochs.
        shim: package of another tool that tunecli replaces: with `wandb`, `wandb.config` holds the parameters,
            and `wandb.log` reports.
        seed: seed of every trial, instead of one that follows from the study's seed and the trial's number.
    """

    command: Annotated[list[CommandItem], Field(min_length=1), BeforeValidator(_with_a_program)]
    params: dict[str, Any] = {}
    args: Arguments = Arguments()
    unused: Annotated[
        Literal["refuse", "allow"],
        Values({"refuse": "It is an error.", "allow": "The program may read it from the environment."}),
    ] = Field("refuse", json_schema_extra={"x-fixed": True})
    metrics: dict[MetricName, MetricPattern] = {}
    metrics_from: MetricsFrom = Field("both", json_schema_extra={"x-fixed": True})
    every: Every = Field("epoch", json_schema_extra={"x-fixed": True})
    shim: ShimName | None = None
    seed: Seed | None = None
