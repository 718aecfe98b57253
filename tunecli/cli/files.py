"""Verbs for files and for this machine: `check`, `init`, `import`, `schema` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.app import verb
from tunecli.console.options import (
    STDOUT,
    Address,
    ConfigFile,
    DataSource,
    EngineName,
    ExportFile,
    ForeignFile,
    Json,
    Kind,
    RunOne,
    SchemaForm,
    Sets,
    ShownAddress,
    Target,
    Template,
    file_name,
)
from tunecli.console.overrides import engine_flags, overrides_of
from tunecli.errors import UsageError

Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Also show how trials wait for one another and are trained together."),
]


@verb(short_help="Check a file: errors, size, cost.")
def check(
    config: ConfigFile,
    sets: Sets = None,
    engine: EngineName = None,
    address: Address = None,
    is_run: RunOne = False,
    is_verbose: Verbose = False,
    is_json: Json = False,
) -> None:
    """Check CONFIG: errors, size of the search space, estimated cost; with `--run` also the first epoch of a trial."""
    from tunecli.commands.check import check, check_view, load_checked
    from tunecli.commands.check_run import run_and_show
    from tunecli.console import Console
    from tunecli.study.plan.machines import machines_of

    texts = overrides_of(sets, engine_flags(engine, address))
    console, spec = Console(is_json=is_json), load_checked(config, texts)
    # A cluster that was named here must answer; one that the file names may start later.
    machines = None if address is None else machines_of(spec.settings.run)
    view = check_view(check(spec, machines), is_verbose=is_verbose)
    if is_run:
        run_and_show(spec, view, console.show, is_json=is_json)
    else:
        console.show(view)


@verb(short_help="Write a YAML file to start from.")
def init(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; `-` is stdout.", parser=file_name)
    ] = Path("study.yaml"),
    template: Template = None,
    data: DataSource = None,
    target: Target = None,
    is_json: Json = False,
) -> None:
    """Write a YAML file to start from, and beside it the JSON Schema for editors.

    `--template` writes another example, with the files that it needs. `--data` looks at your own data, and writes a
    file for it.
    """
    from tunecli.commands.init import init_data_view, init_view
    from tunecli.console import Console

    out = None if path == STDOUT else path
    if data is None and target is not None:
        raise UsageError("--target needs --data", hint="tunecli init --data FILE --target COLUMN")
    if data is not None and template is not None:
        raise UsageError("--template and --data exclude each other", hint="use one of them")
    console = Console(is_json=is_json)
    console.show(init_view(out, template) if data is None else init_data_view(out, data, target))


@verb(name="import", short_help="Convert another tool's sweep file.")
def import_file(
    path: ForeignFile,
    out: ExportFile = None,
    kind: Kind = None,
    is_json: Json = False,
) -> None:
    """Convert FILE, a sweep of W&B, Hydra, Ray Tune, NNI, Katib or Determined, into a study's YAML file.

    The file goes to stdout or to `-o FILE`. stderr lists each key, with the key that it becomes.
    """
    from tunecli.commands.import_sweep import import_sweep, import_view
    from tunecli.console import Console

    Console(is_json=is_json).show(import_view(import_sweep(path, None if out == STDOUT else out, kind)))


@verb(short_help="Print the JSON Schema, or a table of keys.")
def schema(
    form: SchemaForm = "json",
) -> None:
    """Print the JSON Schema of a study's file, or a table of its keys."""
    from tunecli.commands.schema import schema_text
    from tunecli.console import Console

    Console().raw(schema_text(form))


@verb(short_help="Show devices and versions.")
def doctor(address: ShownAddress = None, is_json: Json = False) -> None:
    """Show the devices and the versions of packages on this machine, and the nodes of a Ray cluster."""
    from tunecli.commands.doctor import doctor, doctor_view
    from tunecli.console import Console

    Console(is_json=is_json).show(doctor_view(doctor(address)))
