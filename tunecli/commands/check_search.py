"""The part of `tunecli check` on the search: refused samplers, and the lines on sampler, pruner and workers."""

from __future__ import annotations

from collections.abc import Mapping

from tunecli.config.study import Search
from tunecli.errors import UsageError
from tunecli.registry.pruners import pruner_info
from tunecli.registry.samplers import require_sampler
from tunecli.study.plan.fusing import Fusing
from tunecli.text import counted


def require_fitting_sampler(search: Search) -> None:
    """Refuse a sampler that cannot run, or settings of it that nothing reads.

    Raises:
        UsageError: a package that the sampler needs is not installed; or the sampler has settings, and the pruner
            proposes the points itself.
    """
    require_sampler(search.sampler_name)
    if search.pruner == "none" or not pruner_info(search.pruner.name).required_sampler:
        return
    if isinstance(search.sampler, str):
        return
    model = type(search.sampler)
    if search.sampler != model.model_validate({"name": search.sampler.name}):
        names = " and ".join(f"`{key}`" for key in model.model_fields if key != "name")
        raise UsageError(
            f"the pruner `{search.pruner.name}` uses its own model and acquisition to propose points",
            hint=f"remove {names} from `search.sampler`",
        )


def pruner_text(pruner: str, pauses: tuple[int, ...]) -> str:
    """The pruner, and after which epochs it pauses trials; without epochs it pauses none."""
    return f"{pruner}, which pauses trials after epoch {', '.join(map(str, pauses))}" if pauses else pruner


def lookahead_text(lookahead: int) -> str:
    """How many trials before it a suggestion does not wait for."""
    if lookahead == 1:
        return "1: a suggestion waits for the results of all earlier trials"
    return f"{lookahead}: a suggestion does not wait for the results of the {counted(lookahead - 1, 'trial')} before it"


def fusing_text(fusing: Fusing) -> str:
    """The number of trials that are trained as one model, and why others are not."""
    reasons = "; ".join(map(str, fusing.blockers))
    if fusing.share == "none":
        return f"off: {reasons}"
    return f"on: up to {fusing.width} trials as one model{f', except with {reasons}' if reasons else ''}"


def parallel_text(n_threads: int, jobs_by_device: Mapping[str, int]) -> str:
    """The number of parallel jobs, by device."""
    threads = counted(n_threads, "thread")
    if len(jobs_by_device) == 1:
        [(device, n)] = jobs_by_device.items()
        return f"{n} ({device}, {threads} each)"
    jobs = ", ".join(f"{n} on {device}" for device, n in jobs_by_device.items())
    return f"{jobs} ({threads} each)"
