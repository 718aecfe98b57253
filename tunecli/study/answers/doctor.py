"""What `doctor` found, as an `Answer`: what is here to compute with."""

from __future__ import annotations

from tunecli.results.answer import Answer, Section
from tunecli.study.questions.doctor import Examination


def of_examination(found: Examination) -> Answer:
    """What is here to compute with."""
    versions = tuple(sorted(found.versions.items()))
    slots = ", ".join(found.slots)
    lines = (
        ("cores", str(found.n_cores)),
        ("auto", found.auto),
        (
            "slots",
            f"run.per_device jobs at a time on each of {slots}"
            if slots
            else "one job for every run.threads cores",
        ),
    )
    sections = (
        Section("devices", ("name", "what"), tuple(found.devices.items())),
        Section("versions", ("package", "version"), versions),
    )
    data = {
        "cores": found.n_cores,
        "auto": found.auto,
        "slots": list(found.slots),
        "devices": dict(found.devices),
        "versions": dict(versions),
    }
    return Answer("doctor", data, lines, sections)
