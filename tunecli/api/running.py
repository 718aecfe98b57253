"""Runs a sweep and continues it: `tunecli.search` and `tunecli.resume`, which the verbs of the same names call too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.messages import Display, Event, SweepInfo
from tunecli.train.user_code.code import stop_import
from tunecli.trial import FailedAttempt, Trial

if (
    TYPE_CHECKING
):  # a worker that imports the calling script loads this module, and gets no further than `stop_import`
    from tunecli.api.configs import Config
    from tunecli.api.plain_values import Overrides
    from tunecli.api.study import Study
    from tunecli.config.study import StudySpec
    from tunecli.study.sweep import Ending

Say = Callable[[str], None]
"""Shows a line to the person."""


def search(
    config: Config | StudySpec,
    *,
    overrides: Overrides = (),
    out: str | PathLike[str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    earlier: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    restart: bool | Callable[[str], bool] = False,
    progress: bool | Display = True,
    say: Say | None = None,
) -> Study:
    """Run the sweep that a configuration describes, and rank its trials.

    It needs no ``if __name__ == "__main__"`` guard: a worker that imports the calling script for a function in it stops
    the import at this call.

    Args:
        config: a path, a dict or YAML text, as for `load`; or the result of `load`.
        overrides: as for `load`.
        out: the run folder; None: ``runs/<study>``.
        trials: the total number of trials; None: that of the configuration.
        workers: the number of parallel trials; None: that of the configuration.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``xpu``; None: that of the configuration.
        earlier: run folders of earlier studies, or their names under ``runs/``, whose trials inform the sampler; empty:
            those of the configuration's `search.from`.
        restart: begin a new study in place of the one in the run folder. A study with scores is moved aside. A function
            is asked first.
        progress: True: a live table on a terminal, else a few lines on stderr. False: nothing. Or an object with the
            methods of `Display`.
        say: gets the notes of the sweep, a line each; None: stderr, or nothing with ``progress=False``.

    Returns:
        The study. Its `Study.ending` says why the sweep ended.

    Raises:
        ConfigError: the configuration has problems.
        UsageError: the run folder holds a study already, or `check` refuses the configuration.
        DataError: the data cannot be read.
        NoTrialSucceeded: no trial has a score; the attribute ``study`` is the study.
        Interrupted: a signal ended the sweep; `resume` continues it. Ctrl-C raises it too.
        ClusterGone: the engine's machines are lost; `resume` continues the sweep.
        StudyLocked, DiskFull, StoreFailed: the run folder cannot be used.

    Examples:
        >>> study = tunecli.search("study.yaml", overrides={"search.trials": 20})  # doctest: +SKIP
        >>> study.best.parameters  # doctest: +SKIP
    """
    stop_import("tunecli.search")
    from tunecli.api.configs import checked, run_paths
    from tunecli.api.plain_values import override_places, override_texts
    from tunecli.commands import search as verb
    from tunecli.config.study import StudySpec
    from tunecli.study.runner.signals import resumable

    runs = run_paths(earlier) or None
    flags = {"search.trials": trials, "run.workers": workers, "run.device": device, "search.from": runs}
    texts = override_texts(overrides, flags)
    if isinstance(config, StudySpec):
        if texts:
            raise UsageError(
                "a loaded study takes no overrides, trials, workers, device and earlier studies",
                hint="give them to tunecli.load, or give tunecli.search the path",
            )
        spec = config
    else:
        with override_places({path for path, value in flags.items() if value is not None}):
            spec = checked(config, texts)
    folder = None if out is None else Path(fspath(out))
    agreed = restart if callable(restart) else (lambda question: True) if restart else None
    with resumable(folder or Path("runs") / spec.settings.study, is_begun=False):
        return _ended(verb.search(spec, folder, _display(progress), _say(progress, say), agreed))


def resume(
    run: str | PathLike[str] | Study,
    *,
    trials: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    overrides: Overrides = (),
    config: str | PathLike[str] | None = None,
    fork: str | None = None,
    progress: bool | Display = True,
    say: Say | None = None,
) -> Study:
    """Continue a study up to its total number of trials. Finished trials are not run again.

    Args:
        run: the run folder, the study's name under ``runs/``, or a study.
        trials: the new total number of trials; None: as before.
        workers: the number of parallel trials; None: as before.
        device: where to train; None: as before.
        overrides: as for `load`.
        config: the file to continue with; None: ``config.yaml`` in the run folder.
        fork: the name of a new study beside the old one, which reuses the trials that fit; None: continue the study.
        progress: as for `search`.
        say: as for `search`.

    Returns:
        The study.

    Raises:
        UsageError: there is no such study, or the changes do not fit it.
        ConfigError: the configuration has problems.
        NoTrialSucceeded, Interrupted, ClusterGone, StudyLocked, DiskFull, StoreFailed: as `search`.
        StoreDamaged, StoreTooNew: the database cannot be used.

    Examples:
        >>> study = tunecli.resume("runs/digits", trials=40)  # doctest: +SKIP
    """
    stop_import("tunecli.resume")
    from tunecli.api.plain_values import override_places, override_texts
    from tunecli.api.study import Study

    name = str(run.path) if isinstance(run, Study) else run
    changes = {"n_trials": trials, "n_workers": workers, "device": device}
    texts, path = override_texts(overrides), None if config is None else Path(fspath(config))
    with override_places():
        return resumed(name, changes, texts, path, fork, _display(progress), _say(progress, say))


def resumed(
    run: str | PathLike[str],
    changes: dict[str, Any],
    texts: tuple[str, ...],
    config: Path | None,
    fork: str | None,
    display: Display,
    say: Say,
) -> Study:
    """`resume` with overrides as texts ``path=value``; a problem names the place of one ``--set PATH``.

    Raises:
        UsageError, ConfigError, NoTrialSucceeded, Interrupted: as `resume`, and so are all its other errors.
    """
    from tunecli.api.study import folder_of
    from tunecli.commands import search as verb
    from tunecli.study.runner.signals import resumable

    folder = folder_of(run).path
    path = folder if fork is None else folder.parent / fork
    with resumable(path, is_begun=fork is None):
        return _ended(
            verb.resume(
                str(run), changes, texts, config_path=config, fork_name=fork, display=display, say=say
            )
        )


def _ended(ending: Ending) -> Study:
    from tunecli.api.study import Study
    from tunecli.commands.search import require_score

    study = Study(ending.path, ending)
    try:
        require_score(ending)
    except NoTrialSucceeded as error:
        error.study = study
        raise
    return study


def _say(progress: bool | Display, say: Say | None) -> Say:
    from tunecli.console import Console

    if say is not None:
        return say
    return Console().say if progress is not False else lambda line: None


def _display(progress: bool | Display) -> Display:
    from tunecli.console import Console
    from tunecli.console.live import SparseDisplay, display_for

    if progress is True:
        console = Console()
        return SparseDisplay(console.say) if console.live() is None else display_for(console)
    return _Silent() if progress is False else progress


class _Silent:
    """Shows nothing."""

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None: ...

    def suggested(self, trial: Trial) -> None: ...

    def happened(self, event: Event | FailedAttempt) -> None: ...

    def noticed(self, notices: Sequence[str]) -> None: ...

    def ended(self) -> None: ...
