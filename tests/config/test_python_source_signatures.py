"""Signatures from source equal those that `inspect` finds in the imported object."""

import inspect
import runpy
from typing import Any

import pytest

from tunecli.config.python_source import NoSuchNameError, Signature, parsed, signature_of

SOURCE = """
import functools
from os import path as joined
class Plain: pass
class Net:
    def __init__(self, input_shape, depth=3, *, width, rate=0.1): pass
    def bound(self, x): pass
    @staticmethod
    def made(x, y=1): pass
    @classmethod
    def built(cls, x): pass
class Derived(Net): pass
class Child(Net):
    def __init__(self, a): pass
def train(params, trial): pass
def loose(*args, **kwargs): pass
def strict(a, /, b, c=1, *, d): pass
async def later(x): pass
@functools.cache
def cached(x): pass
other = train
first, (second, *third) = 1, (2, 3)
if True:
    def conditional(x): pass
else:
    class conditional: pass
try:
    import nothing_like_it
except ImportError:
    nothing_like_it = None
with open(__file__) as opened:
    pass
for looped in ():
    pass
def again(): pass
def again(x): pass
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return parsed(path)


NAMES = [
    "train",
    "loose",
    "strict",
    "later",
    "again",
    "Net",
    "Child",
    "Plain",
    "Net.made",
    "Net.built",
    "Net.bound",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_equals_that_of_inspect(module, name, tmp_path):
    found: Any = runpy.run_path(str(tmp_path / "mine.py"))[name.split(".")[0]]
    for step in name.split(".")[1:]:
        found = getattr(found, step)
    slots = list(inspect.signature(found).parameters.values())
    kinds = inspect.Parameter
    positional = [p.name for p in slots if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in slots if p.kind in (kinds.KEYWORD_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    variadic = (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    required = [p.name for p in slots if p.default is kinds.empty and p.kind not in variadic]
    assert signature_of(module, name) == Signature(
        tuple(positional),
        frozenset(named),
        frozenset(required),
        any(p.kind is kinds.VAR_POSITIONAL for p in slots),
        any(p.kind is kinds.VAR_KEYWORD for p in slots),
    )


UNKNOWN = ["functools", "joined", "other", "first", "second", "third", "cached", "Derived", "nothing_like_it"]


@pytest.mark.parametrize("name", [*UNKNOWN, "opened", "looped", "other.x", "Derived.anything"])
def test_signatures_that_the_source_does_not_show_are_unknown(module, name):
    assert signature_of(module, name) is None


def test_a_definition_in_a_branch_is_found(module):
    assert signature_of(module, "conditional") is not None


@pytest.mark.parametrize("name", ["trian", "Plain.made", "params"])
def test_an_undefined_name_is_reported_with_the_defined_ones(module, name):
    with pytest.raises(NoSuchNameError) as caught:
        signature_of(module, name)
    assert caught.value.name == name


@pytest.mark.parametrize("text", ["from os.path import *", "def __getattr__(name): pass"])
def test_the_signature_is_unknown_if_a_module_may_define_any_name(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert signature_of(parsed(path), "whatever") is None


@pytest.mark.parametrize("source", [b"def f(:", b"x = 1\0", b"# coding: nothing\n"])
def test_a_file_that_is_not_python_is_a_syntax_error(tmp_path, source):
    path = tmp_path / "mine.py"
    path.write_bytes(source)
    with pytest.raises(SyntaxError):
        parsed(path)


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def f(x): pass\n")
    parsed(path)
    path.write_text("def longer(x): pass\n")
    assert signature_of(parsed(path), "longer") is not None
