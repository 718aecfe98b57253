"""Verbs that keep studies in order: `list`, `note`, `tag` and `delete`."""

from __future__ import annotations

from pathlib import Path

from tunecli.cli.app import verb
from tunecli.console.options import (
    AppendNote,
    Form,
    Json,
    NoteText,
    OfTag,
    RemoveTags,
    Run,
    Runs,
    RunsFolder,
    SortStudies,
    Tags,
    TrialFiles,
    WithoutAsking,
)

RUNS_PATH = Path("runs")


@verb(name="list", short_help="List the studies in a folder.")
def list_studies(
    runs: RunsFolder = RUNS_PATH,
    tag: OfTag = None,
    sort_by: SortStudies = None,
    form: Form = "table",
    is_json: Json = False,
) -> None:
    """List the studies in DIR: state, trials, best score, time of the last change, size, tags and note."""
    from tunecli.commands.list_studies import list_view, studies
    from tunecli.console import Console
    from tunecli.results.table import require_form

    require_form(form, is_json=is_json)
    rows = studies(runs, tag, sort_by)
    Console(is_json=is_json or form == "json").show(list_view(rows, runs, tag, form))


@verb(short_help="Show or write a note on a study.")
def note(run: Run, text: NoteText = None, is_appended: AppendNote = False, is_json: Json = False) -> None:
    """Show the note of a study, or replace it with TEXT. An empty TEXT removes it. The study may be running."""
    from tunecli.commands.annotate import note as annotated
    from tunecli.commands.annotate import note_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder = RunFolder.find(run)
    annotation = annotated(folder, text, is_appended=is_appended)
    Console(is_json=is_json).show(note_view(folder, annotation))


@verb(short_help="Show, add or remove tags of a study.")
def tag(run: Run, tags: Tags = None, is_removed: RemoveTags = False, is_json: Json = False) -> None:
    """Show the tags of a study, or add TAGs to it. The study may be running."""
    from tunecli.commands.annotate import tag as annotated
    from tunecli.commands.annotate import tag_view
    from tunecli.console import Console
    from tunecli.store.folder import RunFolder

    folder = RunFolder.find(run)
    annotation = annotated(folder, tags or (), is_removed=is_removed)
    Console(is_json=is_json).show(tag_view(folder, annotation))


@verb(short_help="Delete studies, after a question.")
def delete(
    runs: Runs,
    is_agreed: WithoutAsking = False,
    with_trial_files: TrialFiles = False,
    is_json: Json = False,
) -> None:
    """Delete the record, models and logs of studies. Files that tunecli did not write stay, and are named."""
    from tunecli.commands.delete import delete, delete_view
    from tunecli.console import Console

    console = Console(is_json=is_json)
    deleted = delete(
        runs,
        lambda question: is_agreed or console.confirms(question),
        with_trial_files=with_trial_files,
    )
    console.show(delete_view(deleted))
