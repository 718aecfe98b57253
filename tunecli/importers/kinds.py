"""The kinds of files that can be imported: how each is recognised, read and converted. A new kind is one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tunecli.config.reader import MAX_BYTES, MapNode, SequenceNode, plain_of
from tunecli.errors import ConfigError, Problem, UsageError
from tunecli.importers import determined, hydra, katib, nni, ray, wandb
from tunecli.importers.account import Account
from tunecli.importers.dialect import OLD_WORDS, PYYAML, YAML_1_2, Traits, read_foreign
from tunecli.importers.draft import Draft
from tunecli.importers.hydra_overrides import looks_like_overrides


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        name: the value of ``--from``.
        title: the tool's file, in words.
        sign: the keys of such a file, in words.
        traits: how the tool reads YAML.
        recognises: whether a map of plain data is such a file.
        convert: makes the study.
        takes_lists: whether a file may be a list; else it must be a map.
    """

    name: str
    title: str
    sign: str
    traits: Traits
    recognises: Callable[[dict[str, Any]], bool]
    convert: Callable[[Any, Account], Draft]
    takes_lists: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "katib",
                "a Katib experiment",
                "`apiVersion: kubeflow.org/…` and `kind: Experiment`",
                OLD_WORDS,
                katib.recognises,
                katib.convert,
            ),
            Kind(
                "determined",
                "a Determined experiment",
                "`searcher` and `hyperparameters`",
                YAML_1_2,
                determined.recognises,
                determined.convert,
            ),
            Kind(
                "wandb", "a W&B sweep", "`method` and `parameters`", PYYAML, wandb.recognises, wandb.convert
            ),
            Kind(
                "hydra",
                "a Hydra sweep",
                "`hydra.sweeper`, or overrides such as `lr=choice(0.1, 0.01)`",
                OLD_WORDS,
                hydra.recognises,
                hydra.convert,
            ),
            Kind("nni", "an NNI search space", "`_type` and `_value`", PYYAML, nni.recognises, nni.convert),
            Kind(
                "ray",
                "a Ray Tune space",
                "ranges such as `{loguniform: [1e-4, 0.1]}` or `tune.choice([1, 2])`",
                YAML_1_2,
                ray.recognises,
                ray.convert,
                takes_lists=True,
            ),
        )
    }
)
"""Every kind by name. The first one that recognises a file converts it."""


_OF_A_STUDY = {"objective", "trial", "search"}
_OF_NNI = "tuner"  # its first version has the key `trial`, too


@dataclass(frozen=True, slots=True)
class ImportedStudy:
    """A study that another tool's file describes.

    Attributes:
        kind: the kind of the file.
        text: the study's YAML text.
        account: the fate of each key.
        command: the words of the program's command.
        parameters: the names of the parameters, as the program knows them.
    """

    kind: Kind
    text: str
    account: Account
    command: tuple[Any, ...] = ()
    parameters: tuple[str, ...] = ()


def import_study(data: bytes, file: str, kind_name: str | None = None) -> ImportedStudy:
    """Convert another tool's file.

    Args:
        data: the file's bytes.
        file: the file's name, for positions and for the first line of the result.
        kind_name: the kind; None: recognised by the content.

    Raises:
        ConfigError: the file cannot be read, or has parameters that make no range.
        UsageError: the kind is unknown, or the content has no kind.
    """
    if kind_name is not None and kind_name not in KINDS:
        raise UsageError(f"--from: unknown kind `{kind_name}`", hint=f"one of {', '.join(KINDS)}")
    account = Account(file)
    if kind_name in (None, "hydra") and (text := _overrides(data)) is not None:
        kind = KINDS["hydra"]
        draft = hydra.convert_overrides(text, account)
    else:
        kind = KINDS[kind_name] if kind_name is not None else _kind_of(data, file)
        root = read_foreign(data, account, kind.traits)
        if not isinstance(root, MapNode) and not (kind.takes_lists and isinstance(root, SequenceNode)):
            mark = root.mark
            raise ConfigError([Problem("the file must be a map of keys", file, mark.line, mark.column)])
        draft = kind.convert(root, account)
    if account.problems:
        raise ConfigError(account.problems)
    text = draft.text(f"From {file} ({kind.title}), by `tunecli import`.")
    names = tuple(argument.name for argument in draft.arguments)
    return ImportedStudy(kind, text, account, tuple(draft.command), names)


def _overrides(data: bytes) -> str | None:
    """The text of a file with overrides; None for another file."""
    if len(data) > MAX_BYTES:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if looks_like_overrides(text) else None


def foreign_kind(data: bytes, file: str) -> Kind | None:
    """The kind of a file; None for a study's file, and for a file that cannot be read or has no kind."""
    try:
        kind = KINDS["hydra"] if _overrides(data) is not None else _recognised(data, file)
    except ConfigError:
        return None
    return kind


def _kind_of(data: bytes, file: str) -> Kind:
    recognised = _recognised(data, file)
    if recognised is None:
        signs = "; ".join(f"{kind.name}: {kind.sign}" for kind in KINDS.values())
        raise UsageError(
            f"{file} is no sweep file that tunecli recognises", hint=f"--from KIND, where {signs}"
        )
    return recognised


def _recognised(data: bytes, file: str) -> Kind | None:
    plain = plain_of(read_foreign(data, Account(file), YAML_1_2))
    if isinstance(plain, dict) and (_OF_NNI in plain or not _OF_A_STUDY & plain.keys()):
        return next((kind for kind in KINDS.values() if kind.recognises(plain)), None)
    if isinstance(plain, list) and plain and all(isinstance(one, dict) and "name" in one for one in plain):
        return KINDS["ray"]
    return None
