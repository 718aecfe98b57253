"""The setting ``run.events``: the other tools that get the trials while a study runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tunecli.config.suggestions import nearest
from tunecli.knob import Knob, Values
from tunecli.registry.exporters import EXPORTERS


class MlflowEvents(Knob):
    """Runs of MLflow, one for each trial. It needs the package `mlflow`.

    Attributes:
        name: `mlflow`.
        uri: tracking store, such as `sqlite:////home/me/mlflow.db` or the address of a server. Without it, MLflow's own
            setting holds (`MLFLOW_TRACKING_URI`).
        experiment: name of the experiment in MLflow; without it, the name of the study.
    """

    name: Literal["mlflow"] = "mlflow"
    uri: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    experiment: Annotated[str, Field(min_length=1, max_length=200)] | None = None


def _events(value: Any) -> Any:
    """A word, a map or a list of them as a list."""
    if value == "off":
        return []
    items = value if isinstance(value, list) else [value]
    names = [_name_of(item) for item in items]
    for item, name in zip(items, names, strict=True):
        if name not in EXPORTERS:
            near = nearest(name, (*EXPORTERS, "off")) if name else ""
            raise ValueError(
                "must be `tensorboard`, `mlflow`, `{name: mlflow, uri: …}`, a list of them, or `off`"
                + (f"; {near}" if near else "")
            )
        if isinstance(item, dict) and not EXPORTERS[name].has_settings and set(item) != {"name"}:
            raise ValueError(f"`{name}` has no settings: write its name alone")
    if len(names) != len(set(names)):
        raise ValueError("names one tool twice")
    return [item if EXPORTERS[name].has_settings else name for item, name in zip(items, names, strict=True)]


def _name_of(item: Any) -> str:
    name = item.get("name") if isinstance(item, dict) else getattr(item, "name", item)
    return name if isinstance(name, str) else ""


class _OrAlone:
    """Describes a list that may also be one item of it, or `off`."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        of_list = handler(core_schema)
        off = {"enum": ["off"], "enumDescriptions": ["No other tool gets the trials."]}
        return {"anyOf": [off, of_list["items"], of_list]}


Events = Annotated[
    list[
        Annotated[
            Annotated[
                Literal["tensorboard", "mlflow"],
                Values({"tensorboard": "Event files of TensorBoard.", "mlflow": "Runs of MLflow."}),
                Tag("word"),
            ]
            | Annotated[MlflowEvents, Tag("map")],
            Discriminator(lambda value: "word" if isinstance(value, str) else "map"),
        ]
    ],
    BeforeValidator(_events),
    _OrAlone(),
]
