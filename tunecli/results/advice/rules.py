"""All rules of advice, and the findings that a report shows: the worst first, less those that another one explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunecli.results.advice.bounds import best_on_a_bound
from tunecli.results.advice.budget import (
    mixed_devices_or_versions,
    more_would_pay,
    one_trial,
    too_few_trials,
)
from tunecli.results.advice.curves import overfit, undertrained, unstable
from tunecli.results.advice.failures import all_failed, failing_region
from tunecli.results.advice.parameters import importance_unknown, no_effect, starved_option
from tunecli.results.advice.scores import (
    coarse_scores,
    constant_score,
    few_validation_examples,
    inside_the_noise,
    not_better_than_baseline,
    not_better_than_first,
    optimistic_best,
    seed_ignored,
)
from tunecli.results.report import MAX_FINDINGS, Finding, Report, Severity

Rule = Callable[[Report], list[Finding]]
RULES: Mapping[str, Rule] = {
    "all-failed": all_failed,
    "constant-score": constant_score,
    "one-trial": one_trial,
    "seed-ignored": seed_ignored,
    "optimistic-best": optimistic_best,
    "inside-the-noise": inside_the_noise,
    "not-better-than-first": not_better_than_first,
    "not-better-than-baseline": not_better_than_baseline,
    "failing-region": failing_region,
    "starved-option": starved_option,
    "best-on-a-bound": best_on_a_bound,
    "too-few-trials": too_few_trials,
    "unstable": unstable,
    "overfit": overfit,
    "undertrained": undertrained,
    "more-would-pay": more_would_pay,
    "no-effect": no_effect,
    "coarse-scores": coarse_scores,
    "few-validation-examples": few_validation_examples,
    "mixed-devices-or-versions": mixed_devices_or_versions,
    "importance-unknown": importance_unknown,
}
"""Each rule by its name."""
_OF_SCORES = (
    "inside-the-noise",
    "not-better-than-first",
    "best-on-a-bound",
    "too-few-trials",
    "more-would-pay",
    "no-effect",
    "coarse-scores",
    "few-validation-examples",
    "importance-unknown",
)
SILENCES: Mapping[str, tuple[str, ...]] = {
    "all-failed": (*_OF_SCORES, "failing-region", "starved-option"),
    "constant-score": _OF_SCORES,
    "one-trial": (*_OF_SCORES, "seed-ignored"),
    "too-few-trials": ("more-would-pay", "importance-unknown"),
    "unstable": ("overfit",),
    "failing-region": ("starved-option",),
    "seed-ignored": ("optimistic-best",),
}
"""By the name of a rule, the rules whose findings are left out if it has found something.

Without stable training, a rise of the validation loss is one of its jumps: 42 % of the unstable studies looked overfit.
An option that fails is hardly tried for that reason, so only the failing region of the same parameter silences it.
"""
_SAME_PARAMETER = {"failing-region"}
_ORDER = tuple(Severity)


def every_finding(report: Report) -> list[Finding]:
    """All findings, the worst first, without those that another finding explains."""
    found = [finding for rule in RULES.values() for finding in rule(report)]
    return sorted(
        (finding for finding in found if not _is_silenced(finding, found)),
        key=lambda finding: (_ORDER.index(finding.severity), -finding.weight),
    )


def findings(report: Report) -> tuple[tuple[Finding, ...], int]:
    """The findings that a report shows, the worst first, at most `MAX_FINDINGS`.

    Returns:
        The findings, and the number of further ones, which it leaves out.
    """
    found = every_finding(report)
    return tuple(found[:MAX_FINDINGS]), max(0, len(found) - MAX_FINDINGS)


def _is_silenced(finding: Finding, found: Sequence[Finding]) -> bool:
    return any(
        finding.rule in SILENCES.get(other.rule, ())
        and (other.rule not in _SAME_PARAMETER or other.parameter == finding.parameter)
        for other in found
    )
