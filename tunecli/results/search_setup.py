"""How the setup of a search is shown: the choice of `sampler: auto`, the priors and the earlier studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tunecli.results.report import Report
from tunecli.text import counted
from tunecli.trial import EarlierStudy

_MOST_PRIORS = 12


def setup_lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield a labelled line for the chosen sampler and its reason, for the priors, and for each earlier study."""
    if report.facts.sampler_choice is not None:
        yield "sampler: auto", str(report.facts.sampler_choice)
    if priors := priors_text(report):
        yield "priors", priors
    yield from earlier_lines(report.earlier)


def priors_text(report: Report) -> str:
    """The usual values of the parameters that have a prior; `off` if the file says so; empty without any."""
    if not report.facts.has_priors:
        return "off"
    known = [f"{axis.label} {axis.usually}" for axis in report.axes if axis.usually]
    more = f"; and {len(known) - _MOST_PRIORS} more" if len(known) > _MOST_PRIORS else ""
    return f"usual values: {'; '.join(known[:_MOST_PRIORS])}{more}" if known else ""


def earlier_lines(studies: Sequence[EarlierStudy]) -> Iterator[tuple[str, str]]:
    """A labelled line for each study: how many of its trials fit, which were left out, and which losses they have."""
    for study in studies:
        yield "learns from", "; ".join(_parts(study))


def earlier_data(studies: Sequence[EarlierStudy]) -> dict[str, Any]:
    """The same for JSON: ``learns_from``, a list with an object for each study; empty without any.

    Args:
        studies: the earlier studies. Of a study with very many fitting trials, only a part is used.
    """
    if not studies:
        return {}
    return {
        "learns_from": [
            {
                "study": study.name,
                "complete_trials": study.n_complete,
                "fitting_trials": study.n_fitting,
                "used_trials": len(study.points),
                "left_out": dict(study.left_out),
                "unknown_parameters": list(study.unknown),
                "losses": study.basis or "the objective of this study",
            }
            for study in studies
        ]
    }


def _parts(study: EarlierStudy) -> Iterator[str]:
    """Yield the facts of a study, the number of its trials first, and the others only where they are unusual."""
    fitting = f"{study.n_fitting} of {counted(study.n_complete, 'complete trial')} of {study.name}"
    used = f", {len(study.points)} of them used" if len(study.points) < study.n_fitting else ""
    yield f"{fitting} fit this space{used}"
    if study.left_out:
        outside = ", ".join(f"{name} in {count}" for name, count in study.left_out.items())
        yield f"left out by values that this space does not have: {outside}"
    if study.unknown:
        yield f"it has no values of {', '.join(study.unknown)}"
    if study.basis:
        yield f"ranked by {study.basis}"
