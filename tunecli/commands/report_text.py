"""A report as chapters of text for a terminal or a pipe: advice first, then the numbers and their evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from shlex import quote

from tunecli.commands.outcome_summary import front_lines
from tunecli.effects import Effects, ParameterEffect, Reliability
from tunecli.results.baseline import baseline_lines
from tunecli.results.classes import COLUMNS
from tunecli.results.confirmed import Candidate, Confirmed, Interval
from tunecli.results.progress import BARS
from tunecli.results.report import Report
from tunecli.results.search_setup import setup_lines
from tunecli.results.view import Chapter, Fit, Section
from tunecli.store.annotation import Annotation, annotation_lines
from tunecli.text import counted, duration, shown_number
from tunecli.trial import State, Trial

_BAR = 20
_MOST_BARS = 12
_MOST_SPARKS = 40
_MOST_RECORDS = 5
_LISTED = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def chapters_of(report: Report) -> tuple[Chapter, ...]:
    """The report in chapters; those with nothing to say are left out."""
    if not any(trial.outcome for trial in report.trials):
        return (_heading(report), Chapter("", ("no trial has ended",)))
    chapters = (
        _heading(report),
        _advice(report),
        _numbers(report),
        _progress(report),
        *_importance(report),
        *_confirmed(report),
        *_classes(report),
        *_failures(report),
    )
    return tuple(chapter for chapter in chapters if chapter.paragraphs or chapter.lines or chapter.section)


def state_text(report: Report) -> str:
    """How far the study is: ``running, 14 of 60 trials``."""
    facts, counts = report.facts, report.facts.counts
    n_ended = sum(counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    return f"{facts.phase}, {n_ended:,} of {counted(facts.n_planned, 'trial')}"


def _heading(report: Report) -> Chapter:
    facts = report.facts
    direction = "higher" if report.objective.maximize else "lower"
    goals = f"{report.objective.metric}, {direction} is better"
    if report.objective.further_objectives:
        goals = " and ".join(goal.metric for goal in report.objective.goals)
    parts = [state_text(report), goals, f"sampler {facts.sampler}"]
    if facts.elapsed_s:
        parts.append(duration(facts.elapsed_s))
    pairs = annotation_lines(Annotation(facts.note, facts.tags))
    return Chapter(facts.name, (" · ".join(parts),), tuple(pairs))


def _advice(report: Report) -> Chapter:
    paragraphs = []
    for place, finding in enumerate(report.findings, start=1):
        paragraphs.append(f"{place}. {finding.claim} {finding.evidence}".rstrip())
        paragraphs += [f"   {line}" for line in finding.command.split("\n") if line]
    if report.n_silenced:
        paragraphs.append(f"`--json` shows {counted(report.n_silenced, 'further finding')} of less weight")
    return Chapter("What to do next", tuple(paragraphs))


def _numbers(report: Report) -> Chapter:
    lines = []
    best = report.best
    n_scored = len(report.leading)
    if best is not None and best.outcome is not None and best.outcome.score is not None:
        chosen = (
            f"trial {best.number}, the best of {n_scored:,}"
            if n_scored > 1
            else f"trial {best.number}, the only one"
        )
        lines.append(("best score", f"{shown_number(best.outcome.score)} ({chosen})"))
    lines += [*baseline_lines(report.baseline), *front_lines(report.front)]
    confirmed = report.confirmed
    if confirmed is None:
        if n_scored and not report.objective.further_objectives:
            how = f"tunecli confirm {quote(report.facts.path)}"
            lines.append(("confirmed score", f"not yet: {how}"))
    else:
        lines += _confirmed_lines(confirmed, report)
    return Chapter("In numbers", lines=tuple(lines))


def _confirmed_lines(confirmed: Confirmed, report: Report) -> list[tuple[str, str]]:
    lines = []
    quoted = confirmed.quote
    if quoted is not None and quoted.score is not None:
        n_runs = sum(not math.isnan(score) for score in quoted.scores)
        text = f"{quoted.score} (trial {quoted.number}, {n_runs} fresh runs after the choice, 95 %)"
        lines.append(("confirmed score", text))
        if quoted.one_more is not None:
            lines.append(("one more training", f"{_range(quoted.one_more)} (95 %)"))
        if quoted.validation is not None and quoted.n_valid is not None:
            lines.append(
                (
                    "on new data",
                    f"{_range(quoted.validation)} (95 %, from {counted(quoted.n_valid, 'validation example')})",
                )
            )
        lines += [(name, f"{value} (the test data)") for name, value in quoted.tested.items()]
    if confirmed.n_missing:
        how = f"tunecli confirm {quote(report.facts.path)}{confirmed.options}"
        lines.append(
            ("confirmation", f"not complete, {counted(confirmed.n_missing, 'fresh run')} to do: {how}")
        )
    if confirmed.is_seed_ignored:
        lines.append(("seed", "your training ignores its seed, so the noise of the score is unknown"))
    elif len(confirmed.candidates) > 1 and confirmed.is_set_known:
        numbers = [candidate.number for candidate in confirmed.in_set]
        shown = f"{len(numbers)} of {counted(len(confirmed.candidates), 'trial')}: {_listed(numbers)}"
        is_alone = len(numbers) == 1
        lines.append(
            ("the best", f"trial {numbers[0]} is better than the others (95 %)")
            if is_alone
            else ("cannot be distinguished", shown)
        )
    if confirmed.seed_deviation is not None:
        text = f"{shown_number(confirmed.seed_deviation, 2)} (standard deviation over seeds"
        if report.objective.metric == "val_accuracy" and report.facts.n_valid:
            text += f", {confirmed.seed_deviation * report.facts.n_valid:.1f} of {report.facts.n_valid:,} examples"
        lines.append(("noise of the score", f"{text})"))
    return lines


def _range(interval: Interval) -> str:
    return f"{shown_number(interval.low)} to {shown_number(interval.high)}"


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    return ", ".join(map(str, numbers[:_LISTED])) + more


def _progress(report: Report) -> Chapter:
    return Chapter("How the search went", lines=(*setup_lines(report), *_score_lines(report)))


def _score_lines(report: Report) -> list[tuple[str, str]]:
    scored = sorted(report.leading, key=lambda trial: trial.number)
    losses = [report.objective.sign * _score(trial) for trial in scored]
    if len(losses) < 2:
        return []
    records: list[Trial] = []
    least = math.inf
    for trial, loss in zip(scored, losses, strict=True):
        if loss < least:
            least = loss
            records.append(trial)
    texts = [f"{shown_number(_score(trial))} (trial {trial.number})" for trial in records[-_MOST_RECORDS:]]
    lines = [("scores", loss_bars(losses)), ("best so far", " → ".join(texts))]
    if (
        gain := report.effects.expected_improvement
    ) is not None and report.effects.reliability is not Reliability.UNKNOWN:
        lines.append(("next trial", f"the model expects an improvement of {shown_number(gain, 2)}"))
    return lines


def _score(trial: Trial) -> float:
    score = trial.outcome.score if trial.outcome is not None else None
    return math.nan if score is None else score


def loss_bars(losses: Sequence[float]) -> str:
    """A row of bars, the higher the better: the best of each group of neighbours, at most 40 groups.

    Losses above the 90 % quantile get the lowest bar.
    """
    n = min(len(losses), _MOST_SPARKS)
    groups = [losses[place * len(losses) // n : (place + 1) * len(losses) // n] for place in range(n)]
    best = [min(group) for group in groups]
    ordered = sorted(best)
    low, high = ordered[0], ordered[math.ceil(0.9 * (len(ordered) - 1))]
    if not high > low:
        return BARS[-1] * n
    # Divided first: the difference of two huge losses is infinite.
    scale = max(abs(low), abs(high))
    span = high / scale - low / scale
    shares = [(min(loss, high) / scale - low / scale) / span for loss in best]
    return "".join(BARS[round((1 - share) * (len(BARS) - 1))] for share in shares)


def _importance(report: Report) -> tuple[Chapter, ...]:
    effects = report.effects
    if not report.axes:
        return ()
    if effects.reliability is Reliability.UNKNOWN:
        n_missing = report.n_missing_unsaid
        more = f"; about {counted(n_missing, 'more trial')} can show it" if n_missing else ""
        return (Chapter("Which parameters matter", (f"not known: {_why_unknown(effects)}{more}",)),)
    known = sorted((one for one in effects.parameters if one.is_known), key=lambda one: -one.share.mean)
    labels = {axis.name: axis.label for axis in report.axes}
    lines = [(labels.get(one.name, one.name), _bar_text(one)) for one in known[:_MOST_BARS]]
    if rest := known[_MOST_BARS:]:
        lines.append((f"{len(rest)} others", f"at most {rest[0].share.mean:.0%}".replace("%", " %")))
    unknown = [labels.get(one.name, one.name) for one in effects.parameters if not one.is_known]
    if unknown:
        shown = ", ".join(unknown[:_MOST_BARS]) + ", …" * (len(unknown) > _MOST_BARS)
        lines.append(("unknown", f"{shown}: too few trials have {'it' if len(unknown) == 1 else 'them'}"))
    return (Chapter(f"Which parameters matter{_how_sure(effects)}", lines=tuple(lines)),)


def _why_unknown(effects: Effects) -> str:
    if effects.reason or effects.r2 is None:
        return effects.reason or "there is no model"
    return f"the model explains only {100 * max(effects.r2, 0):.0f} % of the variance of scores that it has not seen"


def _how_sure(effects: Effects) -> str:
    share = (
        ""
        if effects.r2 is None
        else f": the model explains {100 * max(effects.r2, 0):.0f} % of the variance of scores that it has not seen"
    )
    if effects.reliability is Reliability.PROVISIONAL:
        return f" (provisional, the order may be wrong{share})"
    return f" (share of the score's variance{share})"


def _bar_text(effect: ParameterEffect) -> str:
    share = effect.share
    low, mean, high = (f"{100 * value:.0f}" for value in (share.low, share.mean, share.high))
    return f"{bar(share.mean)}  {mean:>3} %  ({low} to {high} %)"


def bar(share: float) -> str:
    """A bar of 20 characters of which ``share``, from 0 to 1, is filled."""
    n_eighths = round(8 * _BAR * min(max(share, 0.0), 1.0))
    whole, rest = divmod(n_eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)


def _confirmed(report: Report) -> tuple[Chapter, ...]:
    confirmed = report.confirmed
    if confirmed is None:
        return ()
    columns = ("trial", "search score", "fresh mean", "from", "to", "runs", "in the set", "seconds")
    rows = tuple(_candidate_row(candidate, confirmed) for candidate in confirmed.candidates)
    how = f"tunecli confirm {quote(report.facts.path)} --json"
    fit = Fit(columns, (0, 2, 3, 4, 6, 1, 5, 7), (), how)
    kind = "splits" if confirmed.is_split else "seeds"
    title = (
        f"Is the best trial really the best? {confirmed.n_repeats} runs of each, fresh {kind}, 95 % intervals"
    )
    return (Chapter(title, section=Section("", columns, rows, fit)),)


def _candidate_row(candidate: Candidate, confirmed: Confirmed) -> tuple[str, ...]:
    fresh = candidate.fresh
    n_runs = sum(not math.isnan(score) for score in candidate.scores)
    failed = len(candidate.scores) - n_runs
    intervals = (
        ("—", "—", "—") if fresh is None else tuple(map(shown_number, (fresh.mean, fresh.low, fresh.high)))
    )
    return (
        f"{candidate.number} (first)" if candidate.is_first else str(candidate.number),
        "—" if candidate.search_score is None else shown_number(candidate.search_score),
        *intervals,
        f"{n_runs} of {n_runs + failed}" if failed else str(n_runs),
        ("yes" if candidate.is_in_set else "no") if confirmed.is_set_known else "—",
        f"{candidate.seconds:.3g}" if candidate.seconds else "—",
    )


def _classes(report: Report) -> tuple[Chapter, ...]:
    found = report.classes
    if found is None:
        return ()
    section = Section("", (found.word, *COLUMNS), found.rows)
    return (Chapter("Classes of the best trial", (found.note,), section=section),)


def _failures(report: Report) -> tuple[Chapter, ...]:
    return (Chapter("Failures", report.failures),) if report.failures else ()
