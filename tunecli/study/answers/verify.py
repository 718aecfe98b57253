"""What `verify` found, as an `Answer`: two scores of each trial in full precision, and their largest difference."""

from __future__ import annotations

import math
from typing import Any

from tunecli.results.answer import Answer, Section
from tunecli.results.comparison import Difference
from tunecli.study.questions.verify import Verification, Verified
from tunecli.trial import Outcome


def of_verification(found: Verification) -> Answer:
    """Trials that were run again, each beside its record, and what may be behind a difference."""
    columns = ("trial", "verdict", found.metric, "again", "largest difference", "relative")
    rows = tuple(
        (
            str(each.number),
            each.comparison.verdict.value,
            _full(each.recorded.score),
            _full(each.again.score),
            _where(each.comparison.absolute),
            "—" if each.comparison.relative is None else f"{each.comparison.relative.relative:.2g}",
        )
        for each in found.trials
    )
    n_good = len(found.trials) - len(found.unreproduced)
    lines = [("reproduced", f"{n_good} of {len(found.trials)}" + (" to the last bit" * found.is_exact))]
    for each in found.trials:
        if each.comparison.reason:
            lines.append((f"trial {each.number}", each.comparison.reason))
    causes = dict.fromkeys(cause for each in found.trials for cause in each.causes)
    lines += [("possible cause", cause) for cause in causes]
    if found.unreproduced and not causes:
        lines.append(("possible cause", "another processor, or a record that was changed"))
    data = {
        "study": found.study,
        "path": found.path,
        "metric": found.metric,
        "exact": found.is_exact,
        "reproduced": not found.unreproduced,
        "trials": [_verified_data(each) for each in found.trials],
    }
    return Answer("verify", data, tuple(lines), (Section("", columns, rows),))


def _verified_data(each: Verified) -> dict[str, Any]:
    compared = each.comparison
    return {
        "trial": each.number,
        "verdict": compared.verdict.value,
        "reason": compared.reason,
        "recorded": _run_data(each.recorded),
        "again": _run_data(each.again),
        "largest_absolute": _difference_data(compared.absolute),
        "largest_relative": _difference_data(compared.relative),
        "possible_causes": list(each.causes),
    }


def _run_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state.value,
        "score": _finite(outcome.score),
        "epochs": outcome.epochs,
        "device": outcome.device,
        "failure": None
        if outcome.failure is None
        else {"kind": outcome.failure.kind.value, "cause": outcome.failure.cause},
    }


def _difference_data(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "metric": found.metric,
        "epoch": found.epoch or None,
        "recorded": _finite(found.recorded),
        "again": _finite(found.again),
        "absolute": _finite(found.absolute),
        "relative": _finite(found.relative),
    }


def _where(found: Difference | None) -> str:
    if found is None:
        return "—"
    return f"{found.absolute:.2g} in {found.metric}{f' of epoch {found.epoch}' if found.epoch else ''}"


def _full(score: float | None) -> str:
    return "—" if score is None else repr(score)


def _finite(value: float | None) -> float | None:
    """JSON has no word for the other numbers."""
    return value if value is not None and math.isfinite(value) else None
