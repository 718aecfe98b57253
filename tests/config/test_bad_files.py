"""Bad study files: the place and the text of each error, with the checks of `check` and `search`."""

import json
import re
from pathlib import Path

import pytest

from tests.config.mutants import TOKENS
from tests.support.forked import run_verb
from tunecli.commands.check import load_checked
from tunecli.errors import ConfigError, UsageError

SOUND = """\
study: small
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adam, lr: 1e-2}
  training: {epochs: 3}
search: {sampler: random, trials: 2}
run: {device: cpu}
"""
COMMAND = """\
objective: {metric: loss, direction: minimize}
trial:
  command: [python, -c, 'pass', '{lr}']
  params: {lr: 0.1}
"""
MANY_NINES = "9" * 60


def study(old: str, new: str, text: str = SOUND) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def lr(value: str) -> str:
    return study("1e-2", value)


def hidden(value: str) -> str:
    return study("[8]", value)


def chain(links: str) -> str:
    return study("  training:", f"  {links}\n  training:")


def table(keys: str) -> str:
    return study("source: iris", f"source: table.csv, {keys}")


def doubled(n: int) -> str:
    return ", ".join(f"a{i + 1}: {{x: {{ref: params.a{i}}}, y: {{ref: params.a{i}}}}}" for i in range(n))


def in_a_row(n: int) -> str:
    return ", ".join(f"a{i}: {{ref: params.a{i + 1}}}" for i in range(n))


def command(old: str, new: str) -> str:
    return study(old, new, COMMAND)


BAD: list[tuple[str, str | bytes, str, str]] = [
    ("a key that appears twice", SOUND + "run: {}\n", "10:1", "duplicate key `run` (first on line 9)"),
    ("a key that appears twice inside", lr("1, lr: 2"), "6:34", "duplicate key `lr`"),
    ("an option that is NaN", lr("{choice: [.nan, 1e-2]}"), "6:41", "an option must not be NaN"),
    ("a key that is a number", study("study: small", "1: small"), "1:1", "must be a text"),
    ("a key that is a list", study("study: small", "? [a]\n: 1"), "1:3", "must be a text"),
    ("a key that is empty", study("study: small", ": small"), "1:1", "invalid YAML"),
    ("a key that is null", study("study: small", "~: small"), "1:1", "the key `null` must be a text"),
    ("an unknown key", study("study: small", "colour: red"), "1:1", "unknown key `colour`"),
    ("a misspelt key", study("search:", "serch:"), "8:1", "did you mean `search`?"),
    ("a misspelt key inside", study("epochs", "epohcs"), "7:14", "did you mean `epochs`?"),
    ("a key at the wrong level", study("run: {", "optimizer: {"), "9:1", "it belongs under `trial`"),
    ("a map where a number is wanted", lr("{a: 1}"), "6:31", "must be a number"),
    ("text where a number is wanted", lr("fast"), "6:31", "must be a number"),
    ("a list where a map is wanted", study("{epochs: 3}", "[3]"), "7:13", "must be a map"),
    ("a number where a list is wanted", hidden("8"), "5:30", "must be a list"),
    (
        "truth where a whole number is wanted",
        study("epochs: 3", "epochs: true"),
        "7:22",
        "must be a whole number",
    ),
    ("no value for a number", lr(""), "6:31", "must be a number"),
    ("a range without bounds", lr("{uniform: []}"), "6:41", "two finite numbers"),
    ("a range with one bound", lr("{uniform: [1]}"), "6:41", "two finite numbers"),
    ("a range with three bounds", lr("{uniform: [1, 2, 3]}"), "6:41", "two finite numbers"),
    ("a reversed range", lr("{uniform: [2, 1]}"), "6:41", "the range is reversed"),
    ("a range with invalid values", lr("{uniform: [-1, 1]}"), "6:32", "must be above 0"),
    ("a logarithmic range from zero", lr("{loguniform: [0, 1]}"), "6:44", "must be above 0"),
    ("a range of nothing that is a number", lr("{uniform: [.nan, 1]}"), "6:41", "two finite numbers"),
    ("an endless range", lr("{uniform: [0, .inf]}"), "6:41", "two finite numbers"),
    ("a range wider than numbers", lr("{uniform: [-1e308, 1e308]}"), "6:41", "the range is too wide"),
    ("a normal range wider than numbers", lr("{normal: [0, 1e308]}"), "6:40", "the range is too wide"),
    (
        "a normal range of no width",
        lr("{normal: [1, 0]}"),
        "6:40",
        "the deviation of `normal` must be above 0",
    ),
    ("steps without number", lr("{uniform: [0, 1e308], step: 1e-308}"), "6:59", "`step` is too small"),
    (
        "a step that is no number",
        lr("{uniform: [0, 1], step: .nan}"),
        "6:55",
        "`step` must be a number above 0",
    ),
    ("a step of a choice", lr("{choice: [0, 1], step: 1}"), "6:48", "beside the range"),
    (
        "a grid of a fraction",
        lr("{uniform: [1, 2], grid: 1.5}"),
        "6:55",
        "`grid` must be a whole number above 0",
    ),
    ("a grid without end", lr("{uniform: [1, 2], grid: 99999}"), "6:55", "`grid` must be at most 10,000"),
    ("a default outside its range", lr("{uniform: [1, 2], default: 3}"), "6:58", "is not in the range"),
    (
        "a default that is no number",
        lr("{uniform: [0, 1], step: 0.1, default: .nan}"),
        "6:69",
        "is not in the range",
    ),
    (
        "an endless default",
        lr("{uniform: [0, 1], step: 0.1, default: .inf}"),
        "6:69",
        "is not in the range",
    ),
    (
        "a default of a normal range that is no number",
        lr("{normal: [1, 0.1], default: .nan}"),
        "6:59",
        "is not in the range",
    ),
    (
        "a giant default",
        lr("{int: [1, 2], default: " + MANY_NINES + "}"),
        "6:54",
        "is not in the range",
    ),
    ("a range in two ways", lr("{uniform: [1, 2], int: [1, 2]}"), "6:49", "beside the range"),
    ("a misspelt word beside a range", lr("{uniform: [1, 2], defalt: 1}"), "6:49", "did you mean `default`?"),
    (
        "whole bounds that are none",
        study("epochs: 3", "epochs: {int: [1.5, 3]}"),
        "7:28",
        "two finite whole numbers",
    ),
    (
        "a range among the settings",
        study("trials: 2", "trials: {int: [1, 2]}"),
        "8:36",
        "a range is allowed only under `trial`",
    ),
    (
        "a choice as the study's name",
        study("study: small", "study: {choice: [a, b]}"),
        "1:9",
        "a range is allowed only under `trial`",
    ),
    (
        "a choice of whole settings",
        study("{sampler: random, trials: 2}", "{choice: [1, 2]}"),
        "8:10",
        "a range is allowed only under `trial`",
    ),
    ("a choice of nothing", lr("{choice: []}"), "6:40", "at least one option"),
    ("a choice that is no list", lr("{choice: 3}"), "6:40", "at least one option"),
    ("an option that appears twice", lr("{choice: [1, 2, 1]}"), "6:41", "appears twice in this choice"),
    (
        "a choice in a choice",
        lr("{choice: [1, {choice: [2, 3]}]}"),
        "6:44",
        "an option must not be a `choice` itself",
    ),
    ("an option that may not be", lr("{choice: [1, -1]}"), "6:44", "must be above 0"),
    ("a list without a length", hidden("{list: {of: 3}}"), "5:31", "missing `length`"),
    (
        "a list of a negative length",
        hidden("{list: {of: 3, length: -1}}"),
        "5:53",
        "must be between 0 and 64",
    ),
    (
        "a list of a giant length",
        hidden("{list: {of: 3, length: {int: [0, " + MANY_NINES + "]}}}"),
        "5:53",
        "must be between 0 and 64",
    ),
    (
        "a list of a length in halves",
        hidden("{list: {of: 3, length: 1.5}}"),
        "5:53",
        "must be a whole number or a range",
    ),
    (
        "a list with an unknown key",
        hidden("{list: {of: 3, length: 1, max: 2}}"),
        "5:56",
        "unknown key `max` in `list`",
    ),
    (
        "a list with another default",
        hidden("{list: {of: 3, length: 1}, default: [1, 2]}"),
        "5:66",
        "of an allowed length",
    ),
    (
        "lists that multiply",
        hidden("{list: {of: {list: {of: {list: {of: 1, length: 64}}, length: 64}}, length: 64}}"),
        "5:31",
        "more than 10,000 values",
    ),
    (
        "lists that multiply in the settings",
        study(
            "seed: 1",
            "seed: {list: {of: {list: {of: {list: {of: 1, length: 64}}, length: 64}}, length: 64}}",
            "seed: 1\n" + SOUND,
        ),
        "1:8",
        "more than 10,000 values",
    ),
    ("a reference to nothing", lr("{ref: model.width}"), "6:32", "does not exist"),
    ("a reference to itself", lr("{ref: optimizer.lr}"), "6:32", "refers to itself"),
    ("a reference around itself", lr("{ref: optimizer}"), "6:32", "refers to itself"),
    ("a reference that is empty", lr("{ref: ''}"), "6:37", "must be the path of another key"),
    ("a reference that is a map", lr("{ref: {a: 1}}"), "6:37", "must be the path of another key"),
    ("a reference by a digit that is none", lr("{ref: model.hidden.²}"), "6:32", "does not exist"),
    (
        "a reference by a giant number",
        lr("{ref: model.hidden." + "9" * 5000 + "}"),
        "6:32",
        "`ref: model.hidden.9",
    ),
    ("a truth of YAML 1.1", study("epochs: 3", "epochs: no"), "7:22", "not the text 'no'"),
    ("a time of YAML 1.1", study("epochs: 3", "epochs: 12:30"), "7:22", "not the text '12:30'"),
    ("a date of YAML 1.1", study("epochs: 3", "epochs: 2001-01-01"), "7:22", "not the text '2001-01-01'"),
    ("a number with underscores", study("epochs: 3", "epochs: 1_000"), "7:22", "not the text '1_000'"),
    ("a binary number", study("epochs: 3", "epochs: 0b11"), "7:22", "not the text '0b11'"),
    (
        "a real where a whole number is wanted",
        study("epochs: 3", "epochs: 1e1"),
        "7:22",
        "must be a whole number or `auto`, not 10.0",
    ),
    ("a quoted number", study("epochs: 3", "epochs: '3'"), "7:22", "not the text '3'"),
    ("a number that is none", lr(".nan"), "6:31", "must be a finite number"),
    ("a number without end", lr(".inf"), "6:31", "must be a finite number"),
    ("a number too large for a float", lr("1e400"), "6:31", "must be a finite number"),
    ("a giant number", study("epochs: 3", "epochs: " + MANY_NINES), "7:22", "must be at most"),
    (
        "a number of too many digits",
        study("epochs: 3", "epochs: " + "9" * 65),
        "7:22",
        "a number must have at most 64 characters",
    ),
    ("a tab that indents", study("  data:", "\tdata:"), "4:1", "spaces"),
    ("a control character", study("small", "sm\x07all"), "1:10", "YAML does not allow this character"),
    ("a NUL in the file", study("small", "sm\0all"), "1:10", "YAML does not allow this character"),
    ("a NUL in a name", study("iris", '"a\\0.csv"'), "4:18", "a NUL character"),
    ("a NUL in a folder", study("device: cpu", 'folder: "/a\\0"'), "9:15", "a NUL character"),
    ("a NUL in a key", study("study: small", '"a\\0": 1'), "1:1", "a NUL character"),
    ("no UTF-8", b"study: \xff\n" + SOUND.encode(), "1:8", "the file is not UTF-8"),
    ("UTF-16", SOUND.encode("utf-16"), "1:1", "the file is not UTF-8"),
    ("half a character", SOUND.encode() + b"# \xc3", "10:3", "the file is not UTF-8"),
    ("no bytes", b"", "1:1", "the file is empty"),
    ("only comments", "# nothing\n# at all\n", "3:1", "the file is empty"),
    ("only blanks", " \n\n  \n", "4:1", "the file is empty"),
    ("only a byte order mark", b"\xef\xbb\xbf", "1:1", "the file is empty"),
    ("an empty document", "---\n", "2:1", "a study must be a map of keys"),
    ("two documents", SOUND + "---\n" + SOUND, "10:1", "a second document starts here"),
    ("a list", "- study: small\n", "1:1", "a study must be a map of keys"),
    ("a text", "small\n", "1:1", "a study must be a map of keys"),
    ("a binary file", bytes(range(1, 128)), "1:1", "YAML does not allow this character"),
    ("a million bytes and more", SOUND + "#" * 1_000_000, "1:1", "the limit is 1,000,000 bytes"),
    ("ten thousand values", SOUND + "x: [" + "1," * 10_000 + "]", "10:19921", "more than 10,000 values"),
    ("forty levels", hidden("[" * 41 + "]" * 41), "5:68", "nested more than 40 levels deep"),
    ("an alias to nothing", lr("*a"), "6:31", "an anchor that is not defined above"),
    ("a cycle", hidden("&a [*a]"), "5:34", "refers to itself"),
    ("a merge key", study("{epochs: 3}", "{<<: {epochs: 3}}"), "7:14", "merge keys"),
    ("a tag that runs code", lr("!!python/object/apply:os.system [ls]"), "6:31", "is not allowed"),
    ("a tag that is harmless", lr("!!float 1"), "6:31", "is not allowed"),
    ("a tag of bytes", lr("!!binary aGk="), "6:31", "is not allowed"),
    ("an unfinished list", hidden("[8"), "5:32", "invalid YAML"),
    ("an unfinished text", study("small", "'small"), "10:1", "invalid YAML"),
    (
        "a name that climbs",
        study("study: small", "study: ../../etc"),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    (
        "a name with a slash",
        study("study: small", "study: a/b"),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    (
        "a name that is hidden",
        study("study: small", "study: .hidden"),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    (
        "a name in other letters",
        study("study: small", "study: größe"),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    (
        "a name of 65 characters",
        study("study: small", "study: " + "a" * 65),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    (
        "a name with a line's end",
        study("study: small", 'study: "a\\n"'),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    ("a name that is a number", study("study: small", "study: 7"), "1:8", "must be text"),
    (
        "a name that is empty",
        study("study: small", "study: ''"),
        "1:8",
        "must be at most 64 letters, digits and",
    ),
    ("a misspelt metric", study("val_accuracy", "val_acuracy"), "2:21", "did you mean `val_accuracy`?"),
    ("a metric of another task", study("val_accuracy", "val_rmse"), "2:21", "val_rmse"),
    ("no objective", study("objective: {metric: val_accuracy}\n", ""), "1:1", "missing key `objective`"),
    ("no trial", study("trial:", "trail:"), "1:1", "missing key `trial`"),
    ("a negative seed", "seed: -1\n" + SOUND, "1:7", "must be at least 0"),
    ("a seed beyond 63 bits", "seed: 9223372036854775808\n" + SOUND, "1:7", "must be below"),
    ("no trials", study("trials: 2", "trials: 0"), "8:35", "must be at least 1"),
    (
        "a duration of giant length",
        study("device: cpu", "limit: {time: " + "9" * 400 + "d}"),
        "9:21",
        "invalid duration",
    ),
    ("a duration that is none", study("device: cpu", "limit: {time: 2 weeks}"), "9:21", "invalid duration"),
    (
        "a folder that is not there",
        study("device: cpu", "folder: /nowhere/at/all"),
        "9:15",
        "folder not found",
    ),
    (
        "a folder with a name too long",
        study("device: cpu", "folder: /" + "a" * 5000),
        "9:15",
        "folder not found",
    ),
    ("a misspelt pruner", study("trials: 2", "trials: 2, pruner: medain"), "8:46", "did you mean `median`?"),
    (
        "a pruner without a name",
        study("trials: 2", "trials: 2, pruner: {startup_trials: 3}"),
        "8:46",
        "missing `name`; one of median, halving, hyperband, asha, curves (for example `name: median`)",
    ),
    ("a pruner that is empty", study("trials: 2", "trials: 2, pruner: "), "8:46", "must be one of median,"),
    (
        "a pruner that knows no trial",
        study("trials: 2", "trials: 2, pruner: {name: median, startup_trials: 0}"),
        "8:77",
        "must be at least 1",
    ),
    (
        "a pruner of less than no epochs",
        study("trials: 2", "trials: 2, pruner: {name: median, warmup_epochs: -1}"),
        "8:76",
        "must be at least 0",
    ),
    (
        "a misspelt argument of a pruner",
        study("trials: 2", "trials: 2, pruner: {name: median, warmup_epoch: 1}"),
        "8:61",
        "did you mean `warmup_epochs`?",
    ),
    (
        "no pruner with an argument",
        study("trials: 2", "trials: 2, pruner: {name: none, a: 1}"),
        "8:46",
        "`none`",
    ),
    ("checkpoints by a misspelt word", study("device: cpu", "checkpoint: of"), "9:19", "did you mean `off`?"),
    (
        "checkpoints of a number",
        study("device: cpu", "checkpoint: 5"),
        "9:19",
        "`auto`, `off` or `{epochs: n}`",
    ),
    ("checkpoints of a truth", study("device: cpu", "checkpoint: false"), "9:19", "must be `auto`, `off`"),
    (
        "checkpoints of no epochs",
        study("device: cpu", "checkpoint: {epochs: 0}"),
        "9:28",
        "must be at least 1",
    ),
    ("checkpoints of nothing", study("device: cpu", "checkpoint: {}"), "9:19", "missing key `epochs`"),
    (
        "checkpoints by a misspelt key",
        study("device: cpu", "checkpoint: {epoch: 1}"),
        "9:20",
        "did you mean `epochs`?",
    ),
    (
        "a policy for what would diverge again",
        study("device: cpu", "on_failure: {diverged: retry}"),
        "9:20",
        "would only diverge again",
    ),
    (
        "an unknown failure",
        study("device: cpu", "on_failure: {crsh: retry}"),
        "9:20",
        "did you mean `crash`?",
    ),
    ("an unknown policy", study("device: cpu", "on_failure: {oom: splitt}"), "9:25", "did you mean `split`?"),
    (
        "a policy that does not fit the failure",
        study("device: cpu", "on_failure: {crash: split}"),
        "9:27",
        "must be one of `retry`, `skip`, not the text 'split'",
    ),
    ("one policy for all", study("device: cpu", "on_failure: retry"), "9:19", "must be a map"),
    (
        "a variable that is not set",
        study("iris", "'${env:TUNECLI_NOT_SET}/a.csv'"),
        "4:18",
        "the environment variable `TUNECLI_NOT_SET` is not set (run `export TUNECLI_NOT_SET=…`",
    ),
    (
        "a variable that is not set in an argument",
        command("'{lr}'", "'a${env:TUNECLI_NOT_SET}'"),
        "3:33",
        "`TUNECLI_NOT_SET` is not set",
    ),
    (
        "a variable that is not set in one option",
        command("lr: 0.1", "lr: 0.1, a: {choice: [x, 'b${env:TUNECLI_NOT_SET}']}"),
        "4:37",
        "trial.params.a: the environment variable `TUNECLI_NOT_SET` is not set",
    ),
    ("a variable without a name", command("lr: 0.1", "lr: '${env:}'"), "4:16", "variable `` is not set"),
    ("a number from the environment", lr("'${env:HOME}'"), "6:31", "must be a number"),
    ("an unknown device", study("device: cpu", "device: gpu"), "9:15", "must be one of `auto`, `cpu`,"),
    ("an unknown link", chain("learning_rate: [{cosin: {to: 0}}]"), "7:19", "did you mean `cosine`?"),
    (
        "an unknown argument of a link",
        chain("learning_rate: [{cosine: {too: 0}}]"),
        "7:29",
        "unknown key `too`",
    ),
    (
        "an argument out of its range",
        chain("weights: [{cut: {by: magnitude, fraction: 1.5}}]"),
        "7:45",
        "must be below 1",
    ),
    ("milestones after the end", chain("learning_rate: [{cut: {at: [9], factor: 0.5}}]"), "7:30", "epoch"),
    (
        "a window that ends as it begins",
        chain("weights: [{clip: {value: 1, from_epoch: 2, until_epoch: 2}}]"),
        "7:20",
        "must be above `from_epoch`",
    ),
    (
        "rows without rows to cut",
        study(
            "{name: mlp, hidden: [8]}", "{name: linear}", chain("weights: [{cut: {by: rows, fraction: 0.5}}]")
        ),
        "7:24",
        "row",
    ),
    (
        "second differences in 16 bits",
        study("epochs: 3", "epochs: 3, precision: bf16", study("name: adam, lr: 1e-2", "name: lbfgs")),
        "7:36",
        "lbfgs needs differences of gradients",
    ),
    (
        "a batch of one to be normalised",
        study("epochs: 3", "epochs: 3, batch_size: 1", study("hidden: [8]", "hidden: [8], norm: batch")),
        "7:37",
        "batch",
    ),
    ("a file that is not there", study("iris", "none.csv"), "4:18", "there is no file none.csv"),
    ("a file with a name too long", study("iris", "a" * 5000 + ".csv"), "4:18", "there is no file"),
    (
        "a module that is not there",
        study("source: iris", "source: {python: 'nowhere:load'}"),
        "4:27",
        "module `nowhere` not found",
    ),
    (
        "a module with a name too long",
        study("source: iris", "source: {python: '" + "a" * 5000 + ":load'}"),
        "4:27",
        "module `",
    ),
    (
        "code that is no name",
        study("source: iris", "source: {python: '../x:y'}"),
        "4:27",
        "must be `module:name`",
    ),
    ("a placeholder for nothing", command("'{lr}'", "'{rl}'"), "3:33", "`{rl}` is no key under `params`"),
    (
        "a placeholder by a digit that is none",
        command("'{lr}'", "'{lr.²}'"),
        "3:33",
        "is no key under `params`",
    ),
    ("a brace alone", command("'{lr}'", "'{lr'"), "3:33", "unmatched"),
    ("a program that is not there", command("python,", "no-such-program,"), "3:13", "program `"),
    ("a program with a name too long", command("python,", "a" * 5000 + ","), "3:13", "program `"),
    ("a command of nothing", command("[python, -c, 'pass', '{lr}']", "[]"), "3:12", "must name a program"),
    (
        "a script with a name too long",
        command("-c, 'pass'", "a" * 5000 + ".py"),
        "3:21",
        "not found beside the configuration",
    ),
    ("a pattern that is none", COMMAND + "  metrics: {loss: '('}\n", "5:19", "invalid regular expression"),
    (
        "a pattern with a giant repetition",
        COMMAND + "  metrics: {loss: 'a{99999999999999999999}(a)'}\n",
        "5:19",
        "invalid regular expression",
    ),
    (
        "a pattern nested without end",
        COMMAND + "  metrics: {loss: '" + "(" * 480 + "a" + ")" * 480 + "'}\n",
        "5:19",
        "trial.metrics.loss: ",
    ),
    (
        "a pattern of giant length",
        COMMAND + "  metrics: {loss: '(" + "a" * 2000 + ")'}\n",
        "5:19",
        "at most 1,000 characters",
    ),
    (
        "a key whose dots would give two ranges one name",
        command("lr: 0.1", 'lr: 0.1, "a.b": {uniform: [0, 1]}, a: {b: {uniform: [5, 6]}}'),
        "4:21",
        "trial.params.a.b: a key that holds a range must not contain `.`: the name would be that of `b` in `a` (nest it, `a: {b: …}`, or write `a_b`",
    ),
    (
        "a key with a dot above a range",
        command("lr: 0.1", 'lr: 0.1, "a.b": {c: [1, {choice: [1, 2]}]}, a: {b: {c: [1, {choice: [x]}]}}'),
        "4:21",
        "would be that of `b` in `a`",
    ),
    (
        "references that multiply",
        command("lr: 0.1", "lr: 0.1, a0: 1, " + doubled(20)),
        "4:519",
        "references expand to more than 10,000 values",
    ),
    (
        "references without end",
        command("lr: 0.1", "lr: 0.1, a200: 1, " + in_a_row(200)),
        "4:35",
        "references are nested more than 100 levels deep",
    ),
    (
        "arguments of one's own model that are no map",
        study("{name: mlp, hidden: [8]}", '{python: "torch.nn:Linear", args: [3]}'),
        "5:44",
        "trial.model.args: must be a map, not a list",
    ),
    (
        "a key beside one's own model",
        study("{name: mlp, hidden: [8]}", '{python: "torch.nn:Linear", arg: {}}'),
        "5:38",
        "trial.model.arg: unknown key `arg` (did you mean `args`?)",
    ),
    (
        "an argument of one's own model beside it",
        study("{name: mlp, hidden: [8]}", '{python: "torch.nn:Linear", in_features: 3}'),
        "5:38",
        "unknown key `in_features` (arguments of your own code belong to `args`: write `args: {in_features: 3}`)",
    ),
    (
        "a range with a misspelt key",
        lr("{unifrom: [0, 1]}"),
        "6:31",
        "not a map (did you mean `uniform`?)",
    ),
    (
        "a choice with a misspelt key",
        study("{name: adam, lr: 1e-2}", "{choise: [adam, sgd]}"),
        "6:14",
        "did you mean `choice`?",
    ),
    (
        "two links in one map",
        chain("weights: [{cut: {}, clip: {}}]"),
        "7:13",
        "a link must be a map with one key, not with `cut`, `clip` (write {cut: …}, {clip: …})",
    ),
    (
        "a link with its window beside it",
        chain("weights: [{cut: {}, every: epoch}]"),
        "7:13",
        "(write {cut: {…, every: …}})",
    ),
    (
        "a duration without its last unit",
        study("device: cpu", "limit: {time: 1h30}"),
        "9:21",
        "invalid duration '1h30': write seconds (7200), or days, hours, minutes and seconds: 2h, 1h30m, 90s",
    ),
    (
        "a grid of a continuous range in a branch",
        study("{name: adam, lr: 1e-2}", "{choice: [sgd, {name: adam, lr: {loguniform: [1e-3, 1]}}]}").replace(
            "random, trials: 2", "grid"
        ),
        "6:47",
        "trial.optimizer.lr: the sampler `grid` needs a finite range, not a continuous one (add `grid: n` or `step:`",
    ),
    ("a column that is not there", table("target: colour"), "4:37", "colour"),
    ("a table with no target", table("header: true"), "4:29", "header"),
    ("a key that is true", study("study: small", "true: small"), "1:1", "the key `true` must be a text"),
]


def problems_of(path, overrides=()):
    with pytest.raises(ConfigError) as caught:
        load_checked(path, overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


@pytest.fixture
def written(tmp_path):
    (tmp_path / "table.csv").write_text("size,kind\n" + "1,a\n2,b\n" * 20)

    def write(text: str | bytes) -> Path:
        path = tmp_path / "bad.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


def test_the_base_of_all_bad_files_is_valid(written):
    assert load_checked(written(SOUND), ()).settings.study == "small"
    assert load_checked(written(COMMAND), ()).settings.study == "bad"


@pytest.mark.parametrize(("text", "place", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_file_is_refused_with_place_and_reason(written, text, place, words):
    found = problems_of(written(text))
    said = [f"{problem.line}:{problem.column} {problem}" for problem in found]
    assert any(text.startswith(f"{place} ") and words in text for text in said), said


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SOUND,
        SOUND.replace("\n", "\r\n"),
        "---\n" + SOUND + "...\n",
        study("val_accuracy}", "&m val_accuracy}\n# ü\n"),
        study("study: small", "study: no"),
        study("study: small", "study: 2001-01-01"),
        study("study: small", "study: a" + "b" * 63),
        lr("&a {choice: [1e-3, 010]}"),
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "document marks",
        "anchor and comment",
        "no",
        "date",
        "64 characters",
        "octal",
    ],
)
def test_unusual_but_valid_files_load(written, text):
    load_checked(written(text), ())


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    assert "file not found" in str(problems_of(tmp_path / "none.yaml")[0])
    assert "cannot read" in str(problems_of(tmp_path / "folder.yaml")[0])
    assert "cannot read" in str(problems_of(tmp_path / ("a" * 300))[0])


def test_an_endless_file_is_read_only_up_to_the_limit():
    assert "the limit is 1,000,000 bytes" in str(problems_of(Path("/dev/zero"))[0])


@pytest.mark.parametrize(
    ("old", "new", "other"),
    [
        ("name: mlp", "name: mpl", "unknown name `mpl`"),
        ("epochs: 3", "epoch: 3", "unknown key `epoch`"),
        ("metric: val_accuracy", "metric: accuracy", "objective"),
        ("trials: 2", "trials: many", "search.trials"),
    ],
)
def test_missing_data_is_reported_with_all_other_problems(written, old, new, other):
    said = [str(problem) for problem in problems_of(written(study(old, new, study("iris", "gone.csv"))))]
    assert any("trial.data.source: " in text and "gone.csv" in text for text in said), said
    assert any(other in text for text in said), said


def test_data_paths_are_relative_to_run_folder_even_if_the_file_has_other_errors(written, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "table.csv").write_text("a,b\n1,x\n2,y\n3,x\n4,y\n")
    text = study("iris", "table.csv, target: b", study("trials: 2", "trials: many"))
    text = study("device: cpu", f"device: cpu, folder: {tmp_path / 'elsewhere'}", text)
    assert [problem.parameter for problem in problems_of(written(text))] == ["search.trials"]


@pytest.mark.parametrize("token", [token for token in TOKENS if token.strip()])
@pytest.mark.parametrize(
    "place", ["{}", "optimizer.lr={}", "study={}", "{}=1", "optimizer.{}.0=1", "run.folder={}"]
)
def test_any_override_is_taken_or_refused(written, place, token):
    try:
        load_checked(written(SOUND), (place.format(token),))
    except (ConfigError, UsageError) as error:
        assert error.exit_code == 2


def test_a_file_that_quotes_a_megabyte_is_not_quoted_whole(written):
    found = problems_of(written(study("val_accuracy", "val_accuracy" * 50_000)))
    assert len(str(found[0])) < 5_000


def called(path, *arguments):
    return run_verb("check", path, *arguments, cwd=path.parent)


def test_the_program_exits_2_with_a_line_for_each_problem_and_no_traceback(written):
    path = written(study("iris", '"\\x1b[2Jirish"').replace("epochs: 3", "epoch: 3"))
    done = called(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    said = " ".join(done.stderr.split())
    assert re.search(r"bad\.yaml:4:18: trial\.data\.source", said)
    assert re.search(r"bad\.yaml:7:14: trial\.training\.epoch: unknown key `epoch`", said)


def test_the_program_refuses_a_bomb_like_any_other_file(written):
    nested = "{list: {of: " * 15 + "8" + ", length: 64}}" * 15
    done = called(written(hidden(nested)))
    assert (done.returncode, done.stdout) == (2, "")
    assert "more than 10,000 values" in " ".join(done.stderr.split())


def test_the_json_option_prints_the_problems_as_json(written):
    done = called(written(b"study: \xff"), "--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    problem = json.loads(done.stdout or done.stderr)["problems"][0]
    assert (problem["line"], problem["column"]) == (1, 8)
