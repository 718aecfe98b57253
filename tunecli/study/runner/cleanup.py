"""What a crash may leave in a run folder, and its removal by whoever holds the study.

A file is superfluous where the record does not name it: it was written and never recorded, or recorded as surpassed
and not yet removed. Removing it again is harmless, so this may itself be interrupted anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Set

from tunecli.store.files import remove
from tunecli.store.folder import RunFolder, remove_orphans
from tunecli.trial import Trial


def tidy(
    folder: RunFolder, checkpoint_names: Set[str], trials: Collection[Trial], leaders: Collection[Trial]
) -> None:
    """Remove checkpoints that are not on record, reports that are fully recorded, and weights of all but the leaders.

    Temporary files are gone already: taking the lock removes them.

    Args:
        folder: the run folder, held by this process.
        checkpoint_names: of the checkpoints that may still be needed.
        trials: all on record.
        leaders: the best of them, or of several goals all of the front.
    """
    unended = {folder.reports_path(trial.number).name for trial in trials if trial.outcome is None}
    remove_orphans(folder, checkpoint_names | unended)
    kept = {leader.number for leader in leaders}
    for trial in trials:
        if trial.number not in kept:
            remove(folder.weights_path(trial.number))
