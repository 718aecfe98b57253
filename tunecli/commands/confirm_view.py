"""A confirmation as text: the candidates, the set that holds the best one, and the confirmed score."""

from __future__ import annotations

import math
from shlex import quote

from tunecli.commands.confirm import Confirmation, cost_text
from tunecli.commands.confirm_data import confirmation_data
from tunecli.results.confirmed import Candidate, Confirmed, Quote
from tunecli.results.view import Section, View
from tunecli.text import counted, sanitize

_DIGITS = 4


def confirm_view(confirmation: Confirmation) -> View:
    """The candidates, and below them the results; below those of an incomplete confirmation, its cost."""
    value = confirmation.value
    lines = _cost_lines(confirmation) if value.n_missing else _lines(confirmation)
    return View("confirm", confirmation_data(confirmation), tuple(lines), (_section(confirmation),))


def _section(confirmation: Confirmation) -> Section:
    value, metric = confirmation.value, confirmation.objective.metric
    columns = ("trial", metric, "fresh mean", "95 %", "runs", "set", "seconds")
    return Section("", columns, tuple(_row(candidate, value) for candidate in value.candidates))


def _row(candidate: Candidate, value: Confirmed) -> tuple[str, ...]:
    known = [score for score in candidate.scores if math.isfinite(score)]
    interval = candidate.fresh
    mean = interval.mean if interval else math.fsum(known) / len(known) if known else None
    is_judged = not value.n_missing and len(value.candidates) > 1 and not value.is_seed_ignored
    return (
        f"{candidate.number}{' (first)' if candidate.is_first else ''}",
        _number(candidate.search_score),
        _number(mean),
        "" if interval is None else f"{_number(interval.low)} to {_number(interval.high)}",
        f"{len(known)} of {value.n_repeats}",
        ("yes" if candidate.is_in_set else "no") if is_judged else "",
        f"{candidate.seconds:.3g}" if candidate.seconds else "",
    )


def _cost_lines(confirmation: Confirmation) -> list[tuple[str, str]]:
    lines = [("to do", cost_text(confirmation.cost)), ("command", confirmation.command)]
    if confirmation.runs:
        lines.insert(0, ("done", counted(len(confirmation.runs), "fresh run")))
    return lines


def _lines(confirmation: Confirmation) -> list[tuple[str, str]]:
    value, path = confirmation.value, quote(confirmation.path)
    lines = [
        *_set_lines(value),
        *_quote_lines(value),
        *_noise_lines(confirmation),
        *_test_lines(confirmation),
    ]
    if confirmation.n_failed:
        n_ended = counted(len(confirmation.runs), "fresh run")
        lines.append(("failed", f"{confirmation.n_failed} of {n_ended}"))
    lines.append(("runs", f"{confirmation.path}/confirmed.csv"))
    if confirmation.page or confirmation.page_note:
        lines.append(("report", confirmation.page or confirmation.page_note))
    if value.quote is not None:
        lines.append(("next", f"tunecli export {path} --confirmed -o best.yaml"))
    return lines


def _set_lines(value: Confirmed) -> list[tuple[str, str]]:
    """The set of the best, the first trial, and the cheapest candidate of the set."""
    if len(value.candidates) < 2 or value.is_seed_ignored or _all_failed(value):
        return []
    numbers = " ".join(str(candidate.number) for candidate in value.in_set)
    over = "over seeds and splits" if value.is_split else "over seeds"
    if len(value.in_set) > 1:
        lines = [("set", f"trials {numbers} cannot be distinguished (95 %, {over})")]
    else:
        lines = [("set", f"trial {numbers} is better than the others (95 %, {over})")]
    first = next((candidate for candidate in value.candidates if candidate.is_first), None)
    if first is not None:
        is_quoted = value.quote is not None and value.quote.number == first.number
        in_set = "the confirmed trial" if is_quoted else "in the set: no trial is shown to be better"
        lines.append(
            ("first trial", in_set if first.is_in_set else "not in the set: another trial is better")
        )
    known = [candidate for candidate in value.in_set if candidate.seconds]
    if len(known) > 1:
        cheapest = min(known, key=lambda candidate: (candidate.seconds, candidate.number))
        lines.append(("cheapest of the set", f"trial {cheapest.number}, {cheapest.seconds:.2g} s"))
    return lines


def _quote_lines(value: Confirmed) -> list[tuple[str, str]]:
    """The confirmed score, and how far the best search score is from its fresh runs."""
    found, lines = value.quote, []
    if found is not None:
        lines.append(("confirmed score", _quoted(found)))
        if found.validation is not None and found.n_valid:
            lines.append(("on new data", _validation(found)))
        if found.note:
            lines.append(("caution", sanitize(found.note)))
    if value.is_seed_ignored:
        why = "your training ignores its seed, so the noise of the score is unknown"
        lines.append(("seed", why))
    return lines


def _quoted(found: Quote) -> str:
    known = [score for score in found.scores if math.isfinite(score)]
    runs = f"trial {found.number}, mean of {counted(len(known), 'fresh run')} after the choice"
    if found.score is None:
        mean = math.fsum(known) / len(known) if known else None
        return f"{_number(mean)} ({runs})"
    text = f"{found.score} ({runs})"
    if found.one_more is not None:
        more = found.one_more
        text += f"; one more training: {_number(more.low)} to {_number(more.high)}"
    return text


def _validation(found: Quote) -> str:
    assert found.validation is not None
    low, high = _number(found.validation.low), _number(found.validation.high)
    examples = counted(found.n_valid or 0, "validation example")
    return f"{low} to {high} (95 %, from {examples})"


def _noise_lines(confirmation: Confirmation) -> list[tuple[str, str]]:
    """The noise of the score, and whether the best search score is optimistic."""
    value, lines = confirmation.value, []
    if value.seed_deviation is not None:
        text = f"{value.seed_deviation:.2g} (standard deviation over seeds"
        n_valid = value.quote.n_valid if value.quote is not None else None
        if n_valid and value.quote is not None and value.quote.validation is not None:
            text += f"; {value.seed_deviation * n_valid:.2g} of {counted(n_valid, 'validation example')}"
        lines.append(("noise of the score", f"{text})"))
    if (best := optimistic(value, is_maximized=confirmation.objective.maximize)) is not None:
        assert best.fresh is not None
        mean = _number(best.fresh.mean)
        text = f"{_number(best.search_score)} (trial {best.number}) is optimistic: its fresh runs have a mean of {mean}"
        lines.append(("best score", text))
    return lines


def optimistic(value: Confirmed, *, is_maximized: bool) -> Candidate | None:
    """The candidate with the best search score, if that score is better than the interval of its fresh runs."""
    scored = [candidate for candidate in value.candidates if candidate.search_score is not None]
    if not scored or value.is_split:
        return None
    sign = 1.0 if is_maximized else -1.0
    best = max(scored, key=lambda candidate: (sign * (candidate.search_score or 0.0), -candidate.number))
    if best.fresh is None or best.search_score is None:
        return None
    is_above = best.search_score > best.fresh.high if is_maximized else best.search_score < best.fresh.low
    return best if is_above else None


def _test_lines(confirmation: Confirmation) -> list[tuple[str, str]]:
    found = confirmation.value.quote
    if found is None:
        return []
    lines = [(name, str(interval)) for name, interval in found.tested.items()]
    if found.tested:
        lines.append(("test part", f"opened {counted(found.n_openings, 'time')}"))
    elif confirmation.has_closed_test:
        text = f"not opened now, but {counted(found.n_openings, 'time')} before; --test opens it again"
        lines.append(("test part", text))
    return lines


def _all_failed(value: Confirmed) -> bool:
    return not any(math.isfinite(score) for candidate in value.candidates for score in candidate.scores)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{_DIGITS}g}"
