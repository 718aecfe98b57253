"""Advice on the scores themselves: an order that is noise, an optimistic best, coarse steps and few examples.

A confirmation gives the best evidence. Without one, the rules use the noise that the record shows (`noise_of`).
"""

from __future__ import annotations

import math

from tunecli.results.advice.basis import (
    N_BEST,
    best_trials,
    capitalised,
    command,
    noise_of,
    score_of,
    trials_text,
)
from tunecli.results.confidence import wilson
from tunecli.results.confirmed import Candidate
from tunecli.results.report import Finding, Report, Severity
from tunecli.text import counted, shown_number

MAX_SPREAD = 2.0
"""Deviations of the noise. Five equal trials spread over 2.3 of them on average, and the five best over less."""
MIN_STEPS = 5.0
"""Steps between the best and the median score: with fewer, most trials are equal or differ by chance."""
MIN_VALID = 500
"""Validation examples: with fewer, the interval of an accuracy of 0.9 is wider than ± 0.026."""
MIN_TRIALS_BEYOND_FIRST = 10
"""Trials after the first one before the rule compares them with it."""


def inside_the_noise(report: Report) -> list[Finding]:
    """The best trials differ by less than the noise, so their order means nothing."""
    confirmed = report.confirmed
    if report.objective.further_objectives:
        return []
    if confirmed is not None and confirmed.is_set_known:
        return _not_distinguished(report, [each for each in confirmed.in_set if each.fresh is not None])
    best, noise = best_trials(report), noise_of(report)
    if confirmed is not None or len(best) < N_BEST or noise is None:
        return []
    spread = abs(score_of(best[0]) - score_of(best[-1]))
    if spread >= MAX_SPREAD * noise.deviation:
        return []
    return [
        Finding(
            "inside-the-noise",
            Severity.MISLEADING,
            f"The {len(best)} best trials differ by no more than the noise of a score explains.",
            f"Their scores differ by {shown_number(spread, 2)}. The noise of one score is"
            f" {shown_number(noise.deviation, 2)} ({noise.source}). Another seed may give another order.",
            command(report, "confirm"),
            trials=tuple(trial.number for trial in best),
            weight=1 - spread / (MAX_SPREAD * noise.deviation),
        )
    ]


def optimistic_best(report: Report) -> list[Finding]:
    """The best score of the search is better than the fresh runs of the same trial."""
    if report.confirmed is None or report.best is None or report.objective.further_objectives:
        return []
    of_best = [each for each in report.confirmed.candidates if each.number == report.best.number]
    if not of_best or of_best[0].fresh is None or of_best[0].search_score is None:
        return []
    searched, fresh, sign = of_best[0].search_score, of_best[0].fresh, report.objective.sign
    is_quoted = report.confirmed.quote is not None
    if sign * searched >= min(sign * fresh.low, sign * fresh.high):
        return []
    return [
        Finding(
            "optimistic-best",
            Severity.MISLEADING,
            f"The best score of the search, {shown_number(searched)}, is optimistic.",
            f"The mean of {counted(_n_finite(of_best[0]), 'fresh run')} of trial {report.best.number} is"
            f" {shown_number(fresh.mean)} ({shown_number(fresh.low)} to {shown_number(fresh.high)} at 95 %).",
            command(report, "export", "--confirmed -o confirmed.yaml")
            if is_quoted
            else command(report, "confirm", report.confirmed.options.strip()),
            trials=(report.best.number,),
            weight=abs(searched - fresh.mean) / ((fresh.high - fresh.low) / 2 or 1.0),
        )
    ]


def not_better_than_first(report: Report) -> list[Finding]:
    """No trial is better than the first one, which has the defaults or the middle of each range."""
    if report.objective.further_objectives:
        return []
    planned = max(report.facts.n_planned, len(report.ranked))
    confirmed = report.confirmed
    if confirmed is not None and confirmed.is_set_known:
        first = [each for each in confirmed.candidates if each.is_first and each.fresh is not None]
        if not first or not first[0].is_in_set or len(confirmed.candidates) < 2:
            return []
        return [
            Finding(
                "not-better-than-first",
                Severity.PROBLEM,
                "No trial is shown to be better than the first one.",
                f"The first trial, trial {first[0].number}, is in the set that holds the best trial (95 %).",
                command(
                    report, "confirm", f"{confirmed.options} --repeats {2 * confirmed.n_repeats}".strip()
                ),
                trials=(first[0].number,),
            )
        ]
    best = report.best
    after = [trial for trial in report.leading if best is not None and trial.number > best.number]
    first_number = min((trial.number for trial in report.trials), default=None)
    if best is None or best.number != first_number or len(after) < MIN_TRIALS_BEYOND_FIRST:
        return []
    return [
        Finding(
            "not-better-than-first",
            Severity.PROBLEM,
            "No trial is better than the first one.",
            f"Trial {best.number} scored {shown_number(score_of(best))}, and {counted(len(after), 'later trial')} did"
            " not reach it.",
            command(report, "resume", f"--trials {planned + len(after)}"),
            trials=(best.number,),
        )
    ]


def coarse_scores(report: Report) -> list[Finding]:
    """The score changes in steps that are large compared with the differences between trials."""
    scores = [score_of(trial) for trial in best_trials(report, len(report.ranked))]
    if len(scores) < N_BEST or not report.step or len(set(scores)) < 2:
        return []
    n_steps = abs(scores[0] - scores[len(scores) // 2]) / report.step
    n_equal = sum(score == scores[0] for score in scores)
    if n_steps >= MIN_STEPS:
        return []
    metrics = report.best.outcome.metrics if report.best is not None and report.best.outcome else {}
    has_loss = "val_loss" in metrics and report.objective.metric != "val_loss"
    lines = "objective: {metric: val_loss, direction: minimize}" if has_loss else ""
    shared = f" {counted(n_equal, 'trial')} share the best score." if n_equal > 1 else ""
    return [
        Finding(
            "coarse-scores",
            Severity.NOTE,
            "The score changes in coarse steps.",
            f"Its least step is {shown_number(report.step, 2)}, and the best and the median score are"
            f" {shown_number(n_steps, 2)} steps apart.{shared}",
            lines,
            weight=MIN_STEPS - n_steps,
        )
    ]


def few_validation_examples(report: Report) -> list[Finding]:
    """The validation part is so small that its scores are inexact, however often a trial is trained."""
    facts, best = report.facts, report.best
    if facts.n_valid is None or facts.n_valid >= MIN_VALID or facts.is_folded or best is None:
        return []
    score = score_of(best)
    evidence = f"The validation part has {counted(facts.n_valid, 'example')}."
    if report.step is not None and math.isclose(report.step * facts.n_valid, 1.0) and 0 <= score <= 1:
        low, high = wilson(score, facts.n_valid)
        evidence += (
            f" A score of {shown_number(score)} on them means {shown_number(low, 3)} to {shown_number(high, 3)} on new"
            " examples (95 %). More trainings do not change that."
        )
    by = "" if facts.split_by == "row" else f", by: {facts.split_by}"
    has_advice = not facts.is_own_code and facts.split_by != "column"  # marked rows are no folds
    return [
        Finding(
            "few-validation-examples",
            Severity.NOTE,
            "The validation part has few examples.",
            evidence,
            f"data: {{validation: {{folds: 5{by}}}}}" if has_advice else "",
            weight=1 - facts.n_valid / MIN_VALID,
        )
    ]


def not_better_than_baseline(report: Report) -> list[Finding]:
    """A simple model with default settings is as good as the best trial on the same validation data."""
    best, baseline, goal = report.best, report.baseline, report.objective
    simple = None if baseline is None else baseline.best(maximize=goal.maximize)
    if best is None or simple is None or simple.score is None or goal.further_objectives:
        return []
    if goal.sign * score_of(best) < goal.sign * simple.score:
        return []
    return [
        Finding(
            "not-better-than-baseline",
            Severity.PROBLEM,
            f"No trial is better than {simple.model} with its default settings.",
            f"Trial {best.number} scored {shown_number(score_of(best))}, and {simple.model}"
            f" {shown_number(simple.score)} on the same validation data.",
            trials=(best.number,),
        )
    ]


def constant_score(report: Report) -> list[Finding]:
    """Every trial has the same score."""
    scores = [score_of(trial) for trial in report.leading]
    if len(scores) < 2 or len(set(scores)) > 1:
        return []
    return [
        Finding(
            "constant-score",
            Severity.MISLEADING,
            f"Every trial scored {shown_number(scores[0])}.",
            f"{counted(len(scores), 'complete trial')} differ in their parameters and not in"
            " their score. The metric may be constant, or the training may ignore the parameters.",
            weight=math.inf,
        )
    ]


def seed_ignored(report: Report) -> list[Finding]:
    """Trainings of one trial with different seeds give the same score to the last bit."""
    if report.confirmed is None or not report.confirmed.is_seed_ignored:
        return []
    return [
        Finding(
            "seed-ignored",
            Severity.MISLEADING if report.facts.is_own_code else Severity.NOTE,
            "The training ignores its seed.",
            f"The fresh runs of {trials_text(each.number for each in report.confirmed.candidates)} do not vary: each"
            " trial repeats one score to the last bit. So the noise of a score is unknown.",
            trials=tuple(each.number for each in report.confirmed.candidates),
        )
    ]


def _not_distinguished(report: Report, in_set: list[Candidate]) -> list[Finding]:
    if len(in_set) < 2:
        return []
    known = [each for each in in_set if each.seconds > 0]
    cheapest = min(known, key=lambda each: each.seconds, default=in_set[0])
    time = (
        f" Trial {cheapest.number} trains fastest, in {shown_number(cheapest.seconds, 2)} s." if known else ""
    )
    return [
        Finding(
            "inside-the-noise",
            Severity.NOTE,
            f"{capitalised(trials_text(each.number for each in in_set))} cannot be distinguished.",
            f"After the fresh runs each of them may be the best one (95 %).{time}",
            command(report, "export", f"--trial {cheapest.number} -o best.yaml"),
            trials=tuple(each.number for each in in_set),
            weight=len(in_set),
        )
    ]


def _n_finite(candidate: Candidate) -> int:
    return sum(math.isfinite(score) for score in candidate.scores)
