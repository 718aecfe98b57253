"""tunecli: tune deep-learning models from one YAML file.

The names below are imported when they are used, so that `import tunecli` is quick. `docs/guide/python.md` shows how to
run and read a study, `docs/guide/predict.md` shows `load_model`, and `docs/extending.md` shows what plug-ins use.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunecli.api.configs import load
    from tunecli.api.rows import Rows
    from tunecli.api.running import resume, search
    from tunecli.api.study import Study, open_study
    from tunecli.config.feasibility import is_feasible
    from tunecli.config.schema.losses import LossKnob
    from tunecli.config.schema.models import ModelKnob
    from tunecli.config.schema.optimizers import OptimizerKnob
    from tunecli.config.schema.sources import SourceKnob
    from tunecli.config.space import Space, point_of_units, units_of_point
    from tunecli.config.study import StudySpec
    from tunecli.engine.protocol import (
        Capacity,
        EndsOneJob,
        Engine,
        EngineOptions,
        HasHosts,
        HasNotices,
        Host,
    )
    from tunecli.errors import (
        ClusterGone,
        ConfigError,
        DataError,
        DiskFull,
        Interrupted,
        NotReproduced,
        NoTrialSucceeded,
        Problem,
        StoreDamaged,
        StoreFailed,
        StoreTooNew,
        StudyLocked,
        TunecliError,
        UsageError,
    )
    from tunecli.knob import Knob, NamedKnob
    from tunecli.messages import Display
    from tunecli.registry.engines import EngineInfo
    from tunecli.registry.pruners import Pausing, PrunerInfo
    from tunecli.registry.samplers import SamplerInfo
    from tunecli.search.draws import propose
    from tunecli.search.fidelity import Action, Curve
    from tunecli.search.protocols import Bounds
    from tunecli.seeding import generator_for
    from tunecli.train.artifact.loading import load_model
    from tunecli.train.artifact.model import TrainedModel
    from tunecli.train.user_code.function import TrialStopped
    from tunecli.trial import Failure, FailureKind, Observation, Outcome, Parameters, State, Trial

__version__ = "0.1.0"
__all__ = [
    "Action",
    "Bounds",
    "Capacity",
    "ClusterGone",
    "ConfigError",
    "Curve",
    "DataError",
    "DiskFull",
    "Display",
    "EndsOneJob",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "Failure",
    "FailureKind",
    "HasHosts",
    "HasNotices",
    "Host",
    "Interrupted",
    "Knob",
    "LossKnob",
    "ModelKnob",
    "NamedKnob",
    "NoTrialSucceeded",
    "NotReproduced",
    "Observation",
    "OptimizerKnob",
    "Outcome",
    "Parameters",
    "Pausing",
    "Problem",
    "PrunerInfo",
    "Rows",
    "SamplerInfo",
    "SourceKnob",
    "Space",
    "State",
    "StoreDamaged",
    "StoreFailed",
    "StoreTooNew",
    "Study",
    "StudyLocked",
    "StudySpec",
    "TrainedModel",
    "Trial",
    "TrialStopped",
    "TunecliError",
    "UsageError",
    "__version__",
    "generator_for",
    "is_feasible",
    "load",
    "load_model",
    "open_study",
    "point_of_units",
    "propose",
    "resume",
    "search",
    "units_of_point",
]

_MODULES = {
    "tunecli.api.configs": ("load",),
    "tunecli.api.rows": ("Rows",),
    "tunecli.api.running": ("resume", "search"),
    "tunecli.api.study": ("Study", "open_study"),
    "tunecli.config.feasibility": ("is_feasible",),
    "tunecli.config.schema.losses": ("LossKnob",),
    "tunecli.config.schema.models": ("ModelKnob",),
    "tunecli.config.schema.optimizers": ("OptimizerKnob",),
    "tunecli.config.schema.sources": ("SourceKnob",),
    "tunecli.config.space": ("Space", "point_of_units", "units_of_point"),
    "tunecli.config.study": ("StudySpec",),
    "tunecli.engine.protocol": (
        "Capacity",
        "EndsOneJob",
        "Engine",
        "EngineOptions",
        "HasHosts",
        "HasNotices",
        "Host",
    ),
    "tunecli.errors": (
        "ClusterGone",
        "ConfigError",
        "DataError",
        "DiskFull",
        "Interrupted",
        "NoTrialSucceeded",
        "NotReproduced",
        "Problem",
        "StoreDamaged",
        "StoreFailed",
        "StoreTooNew",
        "StudyLocked",
        "TunecliError",
        "UsageError",
    ),
    "tunecli.knob": ("Knob", "NamedKnob"),
    "tunecli.messages": ("Display",),
    "tunecli.registry.engines": ("EngineInfo",),
    "tunecli.registry.pruners": ("Pausing", "PrunerInfo"),
    "tunecli.registry.samplers": ("SamplerInfo",),
    "tunecli.search.draws": ("propose",),
    "tunecli.search.fidelity": ("Action", "Curve"),
    "tunecli.search.protocols": ("Bounds",),
    "tunecli.seeding": ("generator_for",),
    "tunecli.train.artifact.loading": ("load_model",),
    "tunecli.train.artifact.model": ("TrainedModel",),
    "tunecli.train.user_code.function": ("TrialStopped",),
    "tunecli.trial": ("Failure", "FailureKind", "Observation", "Outcome", "Parameters", "State", "Trial"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package as a module whose public names stay: importing the room `tunecli.search` would replace `search`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
