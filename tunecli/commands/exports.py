"""The exporters that a study's file names under `run.events`, beside the display of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from tunecli.config.secrets import names_in, redacted, resolved
from tunecli.exporters.protocol import ExportedStudy, GuardedDisplay
from tunecli.messages import Display, EpochEnded
from tunecli.registry.exporters import EXPORTERS
from tunecli.registry.implementations import implementation
from tunecli.study.record.lifecycle import Study


@contextmanager
def with_exports(display: Display, study: Study, say: Callable[[str], None]) -> Iterator[Display]:
    """The display, and the exporters that the study's file names, for the duration of a sweep.

    An exporter whose store cannot be used is left out, with a line that says so: it never stops a sweep.

    Args:
        display: shows the sweep.
        study: open, and held by this process.
        say: shows a line to the person.

    Yields:
        A display for the sweep.
    """
    wanted = study.spec.settings.run.events
    if not wanted:
        yield display
        return
    exported, exporters = _exported(study), dict[str, Display]()
    variables = names_in([one if isinstance(one, str) else one.model_dump() for one in wanted])

    def told(line: str) -> None:
        say(redacted(line, variables))

    for one in wanted:
        name = one if isinstance(one, str) else one.name
        info = EXPORTERS[name]
        settings = {} if isinstance(one, str) else one.model_dump(exclude={"name"})
        try:
            make: Any = implementation(info.implementation)
            exporters[name] = make(exported, **resolved(settings))
        except Exception as error:  # another tool's library may raise any error
            told(f"note: `run.events: {name}` cannot be used: {type(error).__name__}: {error}")
    with closing(GuardedDisplay(display, exporters, told)) as shown:
        yield shown


def _exported(study: Study) -> ExportedStudy:
    settings, log = study.spec.settings, study.log

    def epochs_of(numbers: Sequence[int]) -> Mapping[int, Sequence[EpochEnded]]:
        return log.epochs_of(numbers)

    def identity() -> str:
        # The first session is the same for every later one, and in a copy of the run folder.
        began_at = next((session["at"] for session in log.sessions()), "")
        return f"{settings.study} {began_at} {settings.seed}"

    return ExportedStudy(
        settings.study,
        study.folder.path.resolve(),
        identity,
        study.spec.text,
        study.folder.best_path,
        epochs_of,
        {"sampler": settings.search.sampler_name, "seed": settings.seed},
    )
