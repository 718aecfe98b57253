"""What `status` found, as an `Answer`: where a study stands, or that its record cannot be read."""

from __future__ import annotations

from tunecli.results.answer import Answer
from tunecli.results.wording import duration
from tunecli.study.answers.standing import (
    going_on,
    lifted,
    metric_texts,
    reason_line,
    standing_data,
    standing_lines,
)
from tunecli.study.questions.status import Status
from tunecli.trial import State


def of_status(status: Status) -> Answer:
    """Where a study stands."""
    ended = sum(status.counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    lines = [
        ("study", status.study),
        ("state", status.word + (f" by {status.holder}" if status.holder else "")),
        ("trials", f"{ended} of {status.n_trials} ended"),
        *((state.value, str(n)) for state, n in status.counts.items() if n),
    ]
    score = None
    lines += standing_lines(status.standing)
    if status.best is not None and status.best.outcome is not None:
        score = status.best.outcome.score
        told = "  ".join(metric_texts(status.best, status.objective))
        lines.append(("best", f"{told} (trial {status.best.number})"))
    if status.elapsed_s:
        lines.append(("elapsed", duration(status.elapsed_s)))
    is_limited = status.word == "interrupted" and lifted(status.ending)
    if (status.word == "finished" and status.ending) or is_limited:
        lines.append(reason_line(status.ending, status.n_trials))
    if status.word == "interrupted":
        lines.append(("next", going_on(status.path, status.ending)))
    data = {
        "study": status.study,
        "path": status.path,
        "state": status.word,
        "n_trials": status.n_trials,
        "n_ended": ended,
        "counts": {state.value: n for state, n in status.counts.items()},
        "best": None
        if status.best is None
        else {"trial": status.best.number, "metric": status.objective.metric, "score": score},
        **standing_data(status.standing),
        "elapsed_s": status.elapsed_s,
        "reason": status.ending or None,
        "holder": str(status.holder) if status.holder else None,
    }
    return Answer("status", data, tuple(lines))


def of_damage(path: str, why: str) -> Answer:
    """A study whose record cannot be read."""
    return Answer(
        "status", {"path": path, "state": "damaged", "why": why}, (("path", path), ("state", "damaged"))
    )
