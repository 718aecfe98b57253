"""tunecli: tune deep-learning models from one YAML file.

The names below are imported when they are used, so that `import tunecli` is quick. `docs/extending.md` shows how
plug-ins use them, and `docs/guide/predict.md` shows `load_model`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunecli.config.feasibility import is_feasible
    from tunecli.config.schema.losses import LossKnob
    from tunecli.config.schema.models import ModelKnob
    from tunecli.config.schema.optimizers import OptimizerKnob
    from tunecli.config.schema.sources import SourceKnob
    from tunecli.config.space import Space, point_of_units, units_of_point
    from tunecli.engine.protocol import EndsOneJob, Engine, EngineOptions
    from tunecli.knob import Knob, NamedKnob
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
    from tunecli.trial import Observation, Parameters, State

__version__ = "0.1.0"
__all__ = [
    "Action",
    "Bounds",
    "Curve",
    "EndsOneJob",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "Knob",
    "LossKnob",
    "ModelKnob",
    "NamedKnob",
    "Observation",
    "OptimizerKnob",
    "Parameters",
    "Pausing",
    "PrunerInfo",
    "SamplerInfo",
    "SourceKnob",
    "Space",
    "State",
    "TrainedModel",
    "TrialStopped",
    "__version__",
    "generator_for",
    "is_feasible",
    "load_model",
    "point_of_units",
    "propose",
    "units_of_point",
]

_MODULES = {
    "tunecli.config.feasibility": ("is_feasible",),
    "tunecli.config.schema.losses": ("LossKnob",),
    "tunecli.config.schema.models": ("ModelKnob",),
    "tunecli.config.schema.optimizers": ("OptimizerKnob",),
    "tunecli.config.schema.sources": ("SourceKnob",),
    "tunecli.config.space": ("Space", "point_of_units", "units_of_point"),
    "tunecli.engine.protocol": ("EndsOneJob", "Engine", "EngineOptions"),
    "tunecli.knob": ("Knob", "NamedKnob"),
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
    "tunecli.trial": ("Observation", "Parameters", "State"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
