"""Plug-ins that cannot be used are refused with the name of their distribution."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.forked import run_verb
from tests.support.plug_ins import environment_with, install

STUDY = """\
study: bad
objective: {metric: val_loss}
trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 0.2]}}, training: {epochs: 1}}
search: {sampler: mine, trials: 2}
run: {device: cpu, engine: inline}
"""
GOOD = "from tunecli import SamplerInfo\n\ndef mine(space, history, number, seed):\n    return {}\n\n"
NAMELESS = """\
from tunecli import NamedKnob

class S(NamedKnob):
    step: int = 1

INFO = SamplerInfo('mine', 'bad:mine', settings=S)
"""


def checked(tmp_path: Path, text: str = STUDY, verb: str = "check") -> subprocess.CompletedProcess[str]:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return run_verb(verb, path, cwd=tmp_path, environment=environment_with(tmp_path / "site"))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("raise RuntimeError('no luck')\n", "RuntimeError: no luck"),
        ("OTHER = 1\n", "has no attribute 'INFO'"),
        ("INFO = 3\n", "is not a tunecli.SamplerInfo"),
        (f"{GOOD}INFO = SamplerInfo('yours', 'bad:mine')\n", "another name, `yours`"),
        (
            GOOD + NAMELESS,
            '`name: Literal["mine"] = "mine"`',
        ),
        (
            f"{GOOD}INFO = SamplerInfo('mine', 'bad:mine', package='not_there')\n",
            "`not_there`, which is not installed",
        ),
        (f"{GOOD}INFO = SamplerInfo('mine', 'bad:yours')\n", "`bad:yours` cannot be imported"),
        (f"{GOOD}INFO = SamplerInfo('mine', 'bad:mine')\n", "the sampler `mine` returned {}"),
    ],
)
def test_a_bad_sampler_is_one_error_with_its_reason(tmp_path: Path, module: str, words: str) -> None:
    install(tmp_path / "site", "bad-plug-in", "0.3", {"bad.py": module}, {"samplers": {"mine": "bad:INFO"}})
    found = checked(tmp_path)
    assert found.returncode == 2, found.stderr
    assert words in found.stderr
    assert "Traceback" not in found.stderr
    assert (
        "bad-plug-in" in found.stderr or "the sampler `mine`" in found.stderr or "`bad:yours`" in found.stderr
    )


@pytest.mark.parametrize(
    ("group", "module", "override", "words"),
    [
        (
            "optimizers",
            "from tunecli import Knob\n\nclass X(Knob):\n    pass\n",
            "optimizer: mine",
            "not a subclass of tunecli.OptimizerKnob",
        ),
        (
            "losses",
            "from typing import Literal\nfrom tunecli import LossKnob\n\nclass X(LossKnob):\n    name: Literal['mine'] = 'mine'\n",
            "loss: mine",
            "has no `implementation`",
        ),
        ("data", "X = 7\n", "data: {source: mine}", "not a subclass of tunecli.SourceKnob"),
    ],
)
def test_an_unusable_plug_in_knob_is_an_error_with_its_position(
    tmp_path: Path, group: str, module: str, override: str, words: str
) -> None:
    install(tmp_path / "site", "bad-plug-in", "0.3", {"bad.py": module}, {group: {"mine": "bad:X"}})
    trial = "{data: {source: iris}, training: {epochs: 1}}".replace(
        "data: {source: iris}", override if group == "data" else f"data: {{source: iris}}, {override}"
    )
    found = checked(tmp_path, f"study: bad\nobjective: {{metric: val_loss}}\ntrial: {trial}\n")
    assert found.returncode == 2
    assert "study.yaml:3:" in found.stderr
    assert "of bad-plug-in 0.3 cannot be used" in found.stderr
    assert words in found.stderr


def sampler(name: str) -> Mapping[str, str]:
    return {f"{name}.py": f"{GOOD}INFO = SamplerInfo('mine', '{name}:mine')\n"}


def test_two_plug_ins_of_one_name_are_refused_with_both_distributions(tmp_path: Path) -> None:
    for name in ("one", "two"):
        install(
            tmp_path / "site", f"plug-in-{name}", "1", sampler(name), {"samplers": {"mine": f"{name}:INFO"}}
        )
    found = checked(tmp_path)
    assert found.returncode == 2
    assert "plug-in-one 1 and plug-in-two 1" in found.stderr


def test_a_name_that_is_no_identifier_is_refused(tmp_path: Path) -> None:
    install(tmp_path / "site", "odd", "1", sampler("odd"), {"samplers": {"my-own": "odd:INFO"}})
    found = checked(tmp_path, STUDY.replace("sampler: mine", "sampler: my-own"))
    assert found.returncode == 2
    assert "of odd 1 cannot be used: a plug-in's name has letters" in found.stderr


def test_a_built_in_name_takes_precedence_and_the_plug_in_is_not_imported(tmp_path: Path) -> None:
    files = {"grabbing.py": "raise SystemExit('imported')\n"}
    install(tmp_path / "site", "grabbing", "1", files, {"samplers": {"random": "grabbing:INFO"}})
    assert checked(tmp_path, STUDY.replace("sampler: mine", "sampler: random")).returncode == 0


def test_a_study_of_built_in_names_reads_no_metadata_of_distributions() -> None:
    script = (
        "import sys\nfrom tunecli.registry import plugins\nfrom tunecli.config.load import parse_study\n"
        "from pathlib import Path\nfrom tunecli.study.record.plug_ins import plug_ins_of\n"
        f"spec = parse_study({STUDY.replace('mine', 'bayes').encode()!r}, 's.yaml', (), Path())\n"
        "assert plug_ins_of(spec) == ()\n"
        "print(plugins.plug_ins.cache_info().currsize)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "0"
