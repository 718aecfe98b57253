"""The command of a W&B sweep: its macros as arguments of a study's command."""

from __future__ import annotations

import json
import re

from tunecli.config.command import is_script
from tunecli.importers.account import Field, Fields
from tunecli.importers.draft import Argument, Draft, literal
from tunecli.importers.written import written

_MACRO = re.compile(r"\$\{(env|interpreter|program|args\w*|envvar:[A-Za-z_]\w*)\}")
DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
"""The command of a sweep that has none."""


def add_command(sweep: Fields, draft: Draft) -> None:
    """Add the command to the study, after its parameters."""
    account = draft.account
    program, command = sweep.take("program"), sweep.take("command")
    words: list[str] = []
    if command is not None:
        plain = command.plain
        items = plain if isinstance(plain, list) else [plain]
        words = [item if isinstance(item, str) else written(item) for item in items if item is not None]
        if len(words) == 1 and " " in words[0]:
            words = words[0].split()
    name = program.text if program is not None else None
    if not words and name is None:
        _serve(draft)
        return
    for word in words or DEFAULT:
        draft.command += _expanded(word, name, draft, command or program)
    if draft.command and is_script(draft.command[0]):
        draft.command.insert(0, "python")
    for source in (program, command):
        if source is not None:
            account.carried(source, "trial.command")
    _serve(draft)


def _serve(draft: Draft) -> None:
    draft.trial["shim"] = "wandb"
    draft.account.note("trial.shim: wandb", "tunecli serves `wandb.config` and `wandb.log`")


def _expanded(word: str, program: str | None, draft: Draft, source: Field | None) -> list[str]:
    """The arguments that one word of the command becomes."""
    match _MACRO.fullmatch(word):
        case None:
            return [_MACRO.sub(lambda macro: _inside(macro[1], program), literal_but_macros(word))]
        case macro if macro[1] == "env":
            return []
        case macro if macro[1] == "args":
            return draft.passed(booleans="True/False")
        case macro if macro[1] == "args_no_hyphens":
            return draft.passed_plainly()
        case macro if macro[1] == "args_no_equals":
            return draft.passed("space", "True/False")
        case macro if macro[1] == "args_no_boolean_flags":
            return draft.passed(booleans="flag")
        case macro if macro[1] == "args_json_file":
            return ["{params_json}"]
        case macro if macro[1] == "args_json":
            return [_json(draft)]
        case macro if macro[1].startswith("args"):
            if source is not None:
                draft.account.left_out(
                    source, f"the macro `{word}`; the environment variable TUNECLI_PARAMS has the parameters"
                )
            return []
        case macro:
            return [_inside(macro[1], program)]


def _inside(macro: str, program: str | None) -> str:
    if macro.startswith("envvar:"):
        return f"${{env:{macro.partition(':')[2]}}}"
    return {"interpreter": "python", "program": literal(program or "train.py"), "env": "env"}.get(macro, "")


def literal_but_macros(word: str) -> str:
    """The word with literal braces doubled, and its macros as they are."""
    parts, end = [], 0
    for macro in _MACRO.finditer(word):
        parts += [literal(word[end : macro.start()]), macro[0]]
        end = macro.end()
    return "".join([*parts, literal(word[end:])])


def _json(draft: Draft) -> str:
    """A JSON object of the parameters, with a placeholder for each value."""
    parts = []
    for argument in draft.arguments:
        value = f"{{{argument.path}}}"
        parts.append(f"{json.dumps(argument.name)}: {json.dumps(value) if _is_text(argument) else value}")
    return "{{" + ", ".join(parts) + "}}"


def _is_text(argument: Argument) -> bool:
    options = (
        argument.value.get("choice", [argument.value])
        if isinstance(argument.value, dict)
        else [argument.value]
    )
    return all(isinstance(option, str) for option in options)
