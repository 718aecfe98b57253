"""What the file alone tells of a search that may not be what its writer meant; each note says what to write."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.config.domains import Integer, Real, last_value
from tunecli.config.labels import described, shown
from tunecli.config.params_notes import near_ranges, unused_parameters
from tunecli.config.space import Space
from tunecli.config.study import StudySpec
from tunecli.search.samplers.third_party import adapted_by_cmaes

_MOST_NAMES = 6


def configuration_notes(spec: StudySpec) -> Iterator[str]:
    """The notes of one study, in the order in which a person reads its file."""
    for aim in spec.settings.objective.aims:
        if aim.inferred is not None:
            direction = "maximize" if aim.inferred.maximize else "minimize"
            yield (
                f"the direction of {aim.name} follows from its name: {direction} "
                f"(say `direction:` to make sure, or to have it the other way)"
            )
    for near in near_ranges(spec.space.tree):
        yield f"trial.{near.name}: {near.written} is no range here, so your code gets it as it stands ({near.hint})"
    yield from _short_ranges(spec.space)
    for path in unused_parameters(spec.space):
        yield (
            f"trial.params.{path} is searched, but no argument of `command` mentions it: write `{{{path}}}` in one, "
            "or drop the range"
        )
    if spec.settings.search.sampler_name == "cmaes":
        yield from _cmaes_notes(spec.space)


def _short_ranges(space: Space) -> Iterator[str]:
    """Ranges whose steps do not reach their upper end."""
    for parameter in space.parameters:
        domain = parameter.domain
        if (
            isinstance(domain, Integer | Real)
            and domain.step is not None
            and last_value(domain) != domain.high
        ):
            yield (
                f"{parameter.name}: {described(domain)} ends at {shown(last_value(domain))}, "
                f"as its steps do not reach {shown(domain.high)}"
            )


def _cmaes_notes(space: Space) -> Iterator[str]:
    adapted = [parameter.name for parameter in adapted_by_cmaes(space)]
    others = [name for name in space.names if name not in adapted]
    if not space.parameters or not others:
        return
    if not adapted:
        yield (
            "cmaes adapts two or more numbers that are always active, and this space has fewer: all parameters are "
            "drawn at random (`bayes` and `tpe` model such a space)"
        )
        return
    yield f"cmaes adapts {_listed(adapted)}; it draws {_listed(others)} at random"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
