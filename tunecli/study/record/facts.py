"""The facts that a record holds about its study: config, plan, versions, and hashes of code and data.

Under the same schema, a later tunecli may record more facts than this one knows, an earlier one fewer. Missing facts
have a default, unknown facts are ignored, and a fact of the wrong type is an error that names it. An unknown field of
the plan may change the results of trials, so a study with one can be read but not resumed.
"""

from __future__ import annotations

import builtins
import hashlib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tunecli.config.concrete_trial import concrete_trials
from tunecli.config.domains import Categorical
from tunecli.config.earlier_defaults import DEFAULTS, UNRECORDED
from tunecli.config.load import parse_study
from tunecli.config.priors.prior import priors_in, record_of
from tunecli.config.schema.data import Data
from tunecli.config.schema.models.backbones import weights_file_of
from tunecli.config.schema.sources import FileSource, Images
from tunecli.config.secrets import resolved
from tunecli.config.study import SamplerChoice, StudySpec, with_choice
from tunecli.errors import ConfigError, DataError, StoreDamaged, StoreTooNew
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.plan.plan import Plan
from tunecli.study.record.versions import absent_plug_ins, versions
from tunecli.train.data.file_patterns import is_pattern, names_below

T = TypeVar("T")


@dataclass(frozen=True)
class _Facts:
    """The facts of every study, with defaults for facts that an earlier tunecli did not record."""

    config: str
    base_path: str
    plan: dict[str, Any]
    overrides: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    elapsed_s: float = 0.0
    ending: str = ""
    notices: list[str] = field(default_factory=list)
    start: list[dict[str, Any]] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    ordered_choices: bool = False
    part_sizes: dict[str, Any] = field(default_factory=dict)
    confirmation: int = 0
    sampler_choice: dict[str, Any] = field(default_factory=dict)
    defaults: int = UNRECORDED
    priors: dict[str, Any] = field(default_factory=dict)
    totals: list[dict[str, int]] = field(default_factory=list)


def facts_of(log: Log) -> dict[str, Any]:
    """The facts on record, complete and of the right types; facts unknown to this program stay as recorded.

    Raises:
        StoreDamaged: a fact without a default is missing, or a fact has the wrong type.
    """
    return checked(log.facts(), log.path)


def checked(facts: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Check and complete facts that were read from the database at ``path``, as `facts_of` does."""
    known = from_record(_Facts, facts, "the study", path)
    from_record(Plan, known.plan, "plan", path)
    try:
        priors_in(known.priors)
    except ValueError:
        raise _unreadable("the study.priors", "it does not hold priors", path) from None
    return {**facts, **asdict(known)}


def plan_of(facts: Mapping[str, Any], path: Path) -> Plan:
    """The plan on record.

    Raises:
        StoreDamaged: the recorded plan is not valid.
    """
    return from_record(Plan, facts["plan"], "plan", path)


def require_known_plan(facts: Mapping[str, Any], path: Path) -> None:
    """Make sure that this program knows every field of the recorded plan.

    Raises:
        StoreDamaged: the facts are not those of a study.
        StoreTooNew: a field is unknown, or the version of the defaults.
    """
    plan = checked(facts, path)["plan"]
    unknown = sorted({*plan} - {known.name for known in fields(Plan)})
    if unknown:
        raise StoreTooNew(
            f"{path} was written by a later tunecli: its plan has {', '.join(unknown)}, which this one does not know",
            hint="use that version; `status`, `results` and `export` work with this one",
        )
    if (version := checked(facts, path)["defaults"]) > DEFAULTS:
        raise StoreTooNew(
            f"{path} was written by a later tunecli: it has version {version} of the defaults, and this one knows"
            f" {DEFAULTS}",
            hint="use that version; `status` and `results` work with this one",
        )


def recorded_spec(facts: Mapping[str, Any], folder: RunFolder) -> StudySpec:
    """The study's file as it is on record.

    Raises:
        ConfigError: this version refuses the file, which the version that began the study accepted.
    """
    file, base_path = str(folder.config_path), Path(facts["base_path"])
    try:
        spec = parse_study(
            facts["config"].encode(), file, tuple(facts["overrides"]), base_path, defaults=facts["defaults"]
        )
        return with_recorded_space(_with_recorded_choice(spec, facts, folder), facts)
    except ConfigError as error:
        then, now = facts["versions"].get("tunecli"), versions()["tunecli"]
        if (absent := absent_plug_ins(facts["versions"])) and not error.hint:
            error.hint = f"this study used plug-ins that are not installed here: {', '.join(absent)}"
        if then != now and not error.hint:
            began = f"tunecli {then}" if then else "another version of tunecli"
            error.hint = f"{began} began this study, but this is {now}: use that version for it"
        raise


def with_recorded_space(spec: StudySpec, facts: Mapping[str, Any]) -> StudySpec:
    """The study with the order of numbers in a choice and the priors that its record has.

    A study that began before tunecli had one of them goes on without it.
    """
    space = replace(
        spec.space,
        orders_numbers=bool(facts.get("ordered_choices", False)),
        priors=priors_in(facts.get("priors", {})),
    )
    return replace(spec, space=space)


def choice_facts(spec: StudySpec) -> dict[str, Any]:
    """The fact for the record of the choice for `search.sampler: auto`; empty if the file names a sampler."""
    return {} if spec.choice is None else {"sampler_choice": asdict(spec.choice)}


def _with_recorded_choice(spec: StudySpec, facts: Mapping[str, Any], folder: RunFolder) -> StudySpec:
    if not facts["sampler_choice"]:
        return spec
    choice = from_record(SamplerChoice, facts["sampler_choice"], "sampler_choice", folder.database_path)
    return with_choice(spec, choice)


def order_facts(spec: StudySpec) -> dict[str, Any]:
    """The fact for the record that models use the order of numbers in a choice; empty if there is no such choice."""
    domains = (parameter.domain for parameter in spec.space.parameters)
    has_order = any(isinstance(domain, Categorical) and domain.is_ordered is None for domain in domains)
    return {"ordered_choices": spec.space.orders_numbers} if has_order else {}


def prior_facts(spec: StudySpec) -> dict[str, Any]:
    """The fact for the record with the priors of a study, which it keeps; empty if it has none."""
    return {"priors": record_of(spec.space.priors)} if spec.space.priors else {}


def from_record(kind: type[T], record: Any, name: str, path: Path) -> T:
    """Make a value of the dataclass ``kind`` from its record; unknown fields are ignored.

    Args:
        kind: a dataclass.
        record: its fields by name.
        name: the record's name, for the error message.
        path: the database.

    Raises:
        StoreDamaged: a field without a default is missing, or a field has the wrong type.
    """
    if not isinstance(record, Mapping):
        raise _unreadable(name, "it is not a map", path)
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for known in fields(kind):  # type: ignore[arg-type]  # a dataclass
        if known.name in record:
            value = record[known.name]
            if not _has_type(hints[known.name], value):
                raise _unreadable(f"{name}.{known.name}", f"it has the type {type(value).__name__}", path)
            values[known.name] = value
        elif known.default is MISSING and known.default_factory is MISSING:
            raise _unreadable(f"{name}.{known.name}", "it is missing", path)
    return kind(**values)


def _unreadable(where: str, why: str, path: Path) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is damaged, or a later tunecli wrote it: the record `{where}` cannot be read: {why}",
        hint="use the version that wrote it, or restore a copy of the run folder",
    )


def _has_type(hint: Any, value: Any) -> bool:
    """Whether a JSON value has a type; an int counts as a float, and a bool does not count as a number."""
    arguments = get_args(hint)
    match get_origin(hint) or hint:
        case typing.Any:
            return True
        case types.UnionType | typing.Union:
            return any(_has_type(member, value) for member in arguments)
        case builtins.dict:
            keys, items = arguments
            return isinstance(value, dict) and all(
                _has_type(keys, key) and _has_type(items, value[key]) for key in value
            )
        case builtins.list | builtins.tuple:
            return isinstance(value, list) and all(_has_type(arguments[0], item) for item in value)
        case builtins.float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case builtins.int:
            return isinstance(value, int) and not isinstance(value, bool)
        case kind:
            return isinstance(value, kind)


def data_hashes(spec: StudySpec) -> dict[str, str]:
    """SHA-256, in hexadecimal, of every file of data or trained weights of a study, by its name in the study's file.

    Missing files are left out. A folder of images is hashed by the names and sizes of its files. A pattern has the hash
    of its files' names, and one for each of them: ``parts/*.csv: a.csv``. Generated and bundled
    data sets are identified by the recorded versions, and the user's own function by its code.

    Raises:
        UsageError: a name contains an environment variable that is not set.
    """
    names = sorted({name for plain in concrete_trials(spec.space) for name in _names(plain)})
    hashes: dict[str, str] = {}
    for name in names:
        path = spec.base_path / resolved(name)
        hashes |= _pattern_hashes(name, path) if is_pattern(path) else {name: _sha256(path)}
    return {name: digest for name, digest in hashes.items() if digest}


def _pattern_hashes(name: str, path: Path) -> dict[str, str]:
    """The hashes of a pattern's files; empty if none matches."""
    try:
        files = names_below(path)
    except DataError:
        return {}
    listing = hashlib.sha256("\n".join(files).encode()).hexdigest()
    return {name: listing, **{f"{name}: {inner}": _sha256(file) for inner, file in files.items()}}


def changed_data(recorded: Mapping[str, str], spec: StudySpec) -> list[str]:
    """The data files that differ from ``recorded``: a text for each, with its name and the kind of change."""
    now = data_hashes(spec)
    return [
        f"{name} {'is gone' if name not in now else 'has changed'}"
        for name in recorded
        if recorded[name] != now.get(name)
    ]


def _names(plain: Mapping[str, object]) -> Iterator[str]:
    if "data" not in plain:
        return
    data = Data.model_validate(plain["data"])
    if isinstance(data.source, FileSource | Images):
        yield data.source.path
    for part in (data.validation, data.test):
        if part is not None and part.file is not None:
            yield part.file
    if (weights := weights_file_of(plain.get("model"))) is not None:
        yield weights


def _sha256(path: Path) -> str:
    """SHA-256 of a file's content, or of the listing of a folder; empty if the path does not exist."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    files = sorted(file for file in path.glob("*/*") if file.is_file())
    listing = "\n".join(f"{file.relative_to(path).as_posix()} {file.stat().st_size}" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()
