"""Exports from folders with unusual names: they name the same folder, or are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.commands.check import load_checked
from tunecli.config.concrete_trial import concrete
from tunecli.config.secrets import escaped, names_in, resolved
from tunecli.errors import TunecliError, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import Study, begin, is_text, open_to_read, require_text
from tunecli.study.record.publish import document
from tunecli.trial import Trial

OWN = """\
study: own
objective: {metric: val_loss}
trial: {python: 'own:train', params: {x: {uniform: [0, 1]}}}
search: {sampler: random, trials: 1}
run: {engine: inline}
"""
CSV = """\
study: table
objective: {metric: val_loss}
trial:
  data: {source: 'a "b".csv', target: c}
  model: {name: linear}
  optimizer: {name: sgd, lr: {loguniform: [0.001, 0.1]}}
  training: {epochs: 1, batch_size: 8}
search: {sampler: random, trials: 1}
run: {engine: inline, device: cpu}
"""
NAMES = [
    "plain",
    "two words",
    "a: b #c",
    "- x",
    "'quoted'",
    '"quoted"',
    "new\nline",
    "tab\there",
    "\u2028\x85",
    "\ufeff",
    "\x1b[2J",
    "${env:HOME}",
    "$${env:HOME}",
    "$ {x} %s {{y}}",
    "漢字 👩‍🔬",
    "*&!|>@`",
    "1e3",
    "~",
    "\x7f\x80\x9f",
    "x" * 200,
]


def begun(folder: Path, text: str) -> Study:
    """A study of a file in ``folder`` that has begun and is closed."""
    (folder / "own.py").write_text("def train(params, trial):\n    return params['x']\n")
    (folder / 'a "b".csv').write_text("a,c\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))
    (folder / "s.yaml").write_text(text)
    with begin(load_checked(folder / "s.yaml", ()), folder / "run") as study:
        return study


@pytest.mark.parametrize("text", [OWN, CSV], ids=["own", "csv"])
@pytest.mark.parametrize("name", NAMES)
def test_an_export_names_a_folder_of_any_name(tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    study = begun(folder, text)
    trial = Trial(0, dict.fromkeys(study.spec.space.names, 0.05), 1)
    exported = tmp_path / "e.yaml"
    exported.write_text(document(study, trial))
    again = load_checked(exported, ())
    if text is OWN:
        assert again.base_path == folder.resolve()
    else:
        source = concrete(again.space, {})["data"]["source"]
        assert resolved(source) == str(folder.resolve() / 'a "b".csv')


@pytest.mark.parametrize("text", [OWN, CSV], ids=["own", "csv"])
@pytest.mark.parametrize("name", [b"f\xe9", b"\xff\xfe", b"\xed\xa0\x80", b"ok\xc3"])
def test_a_folder_name_that_is_not_utf_8_is_refused_before_training(
    tmp_path: Path, name: bytes, text: str
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    folder.mkdir()
    with pytest.raises(UsageError, match="is not UTF-8") as caught:
        begun(folder, text)
    assert "rename" in caught.value.hint
    assert caught.value.message.isascii()
    assert not (folder / "run").exists()


def test_a_study_without_files_can_be_exported_from_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xe9"))
    folder.mkdir()
    text = CSV.replace("""'a "b".csv', target: c""", "diabetes")
    study = begun(folder, text)
    exported = tmp_path / "e.yaml"
    exported.write_text(document(study, Trial(0, {"optimizer.lr": 0.05}, 1)))
    assert not load_checked(exported, ()).space.parameters
    with open_to_read(RunFolder(folder / "run")) as again:
        assert again.spec.base_path == folder


def test_an_export_with_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"f\\udce9"):
        require_text({"run": {"folder": "/f\udce9"}}, Path("/f\udce9"))


@given(
    st.recursive(
        st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )
)
def test_a_tree_is_refused_only_for_a_text_that_is_not_utf_8(tree: Any) -> None:
    require_text(tree, Path("/"))
    for broken in ({"a": tree, "b": ["\udc80"]}, ["\ud800", tree]):
        with pytest.raises(TunecliError):
            require_text(broken, Path("/"))


@given(st.text() | st.lists(st.sampled_from(["$", "{", "}", "${env:", "HOME", "a", "/"])).map("".join))
def test_an_escaped_text_names_no_variable(text: str) -> None:
    assert names_in(escaped(text)) == ()
    assert resolved(escaped(text), {}) == text


def test_is_text_accepts_only_valid_utf_8() -> None:
    assert is_text("漢字\n")
    assert not is_text("f\udce9")
