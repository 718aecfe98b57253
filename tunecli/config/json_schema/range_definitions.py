"""The definitions of the schema that describe ranges, and the words beside them."""

from __future__ import annotations

from typing import Any

from tunecli.config.expressions import MODIFIERS
from tunecli.config.range_words import NUMERIC_WORDS

RANGE = {"$ref": "#/$defs/Range"}
ANYTHING = {"$ref": "#/$defs/Anything"}
_PAIR: dict[str, Any] = {"type": "array", "minItems": 2, "maxItems": 2}
_WORDS = {
    "uniform": "A real number between two bounds, each value equally likely: [low, high].",
    "loguniform": "A real number between two bounds above 0, each power of ten equally likely: [low, high].",
    "int": "A whole number between two bounds, both included: [low, high].",
    "logint": "A whole number between two bounds above 0, each power of ten equally likely: [low, high].",
    "normal": "A normally distributed number: [mean, standard deviation].",
    "lognormal": "A number whose natural logarithm is normally distributed: [mean, standard deviation] of it.",
}


def object_schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """A closed map. Editors offer no skeleton of its required keys, because these are in an `allOf`."""
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**closed, "allOf": [{"required": list(required)}]} if required else closed


def choice_of(option: dict[str, Any]) -> dict[str, Any]:
    """The schema of a `choice` among options of one schema."""
    options = {
        "description": "One of these options, each a value or a map; both may hold ranges.",
        "type": "array",
        "minItems": 1,
        "items": option,
    }
    beside = {word: {"$ref": f"#/$defs/{word}"} for word in ("default", "weights", "ordered", "as")}
    return object_schema({"choice": options, **beside}, "choice")


def range_definitions() -> dict[str, Any]:
    """The definitions by name: every range but `choice`, whose options depend on the key."""
    beside = {word: {"$ref": f"#/$defs/{word}"} for word in ("default", "step", "grid")}
    known = {"as": {"$ref": "#/$defs/as"}}
    further = {"power": {"default": beside["default"], **known}, "list": {"default": beside["default"]}}
    listing = object_schema(
        {
            "of": {"description": "Each item of the list: a value or a range.", "$ref": "#/$defs/Anything"},
            "length": {
                "description": "Number of items: a whole number or a range of them.",
                "$ref": "#/$defs/Length",
            },
        },
        "of",
        "length",
    )
    numbers = {word: {"description": text, "$ref": f"#/$defs/{_pair(word)}"} for word, text in _WORDS.items()}
    power = object_schema(
        {
            "of": {
                "description": "The base: the number whose powers are taken.",
                "type": "number",
                "exclusiveMinimum": 0,
            },
            **{
                word: {"description": f"The exponent. {_WORDS[word]}", "$ref": f"#/$defs/{_pair(word)}"}
                for word in NUMERIC_WORDS
            },
            **beside,
        },
        "of",
    )
    power["oneOf"] = [{"required": [word]} for word in NUMERIC_WORDS]
    own = {
        "power": {"description": "A power of a number, with a searched exponent: `{of: 2, int: [3, 8]}`."}
        | power,
        "list": {"description": "A list whose length is searched too: `{of: …, length: …}`."} | listing,
        "ref": {"description": "The value of another key, by its path under `trial`.", "type": "string"},
        "expr": {
            "description": "A value that a formula computes from other keys: `1 - gamma`.",
            "type": "string",
        },
    }
    return {
        "Range": {
            "$comment": "A search range instead of a value.",
            "anyOf": [
                *(
                    object_schema({word: number, **beside, **({} if "normal" in word else known)}, word)
                    for word, number in numbers.items()
                ),
                *(object_schema({word: own[word], **further.get(word, {})}, word) for word in own),
            ],
        },
        "Anything": {
            "$comment": "Any value of your own, in which any part may be a range.",
            "anyOf": [
                RANGE,
                choice_of(ANYTHING),
                {"type": "object", "additionalProperties": ANYTHING},
                {"type": "array", "items": ANYTHING},
                {},
            ],
        },
        "TwoNumbers": {**_PAIR, "items": {"type": "number"}},
        "TwoIntegers": {**_PAIR, "items": {"type": "integer"}},
        "Length": {"anyOf": [{"type": "integer", "minimum": 0}, RANGE]},
        "default": {"description": "Value of the first trial: a good guess."},
        "step": {
            "description": "Distance between two neighbouring values; by default any value in the range is possible.",
            "type": "number",
            "exclusiveMinimum": 0,
        },
        "grid": {
            "description": "Number of points that the sampler `grid` takes from the range.",
            "type": "integer",
            "minimum": 1,
        },
        "weights": {
            "description": "How often each option is drawn, compared with the others; by default equally often.",
            "type": "array",
            "items": {"type": "number", "exclusiveMinimum": 0},
            "minItems": 1,
        },
        "ordered": {
            "description": "Whether models use the order of the options; by default true for three or more numbers.",
            "type": "boolean",
        },
        "as": {
            "description": "Known setting that this is, such as `optimizer.lr`: trials begin where it is usually good.",
            "type": "string",
        },
    }


def range_texts() -> dict[str, str]:
    """A sentence for each word of a range, and for each word beside it."""
    definitions = range_definitions()
    choice = choice_of({})["properties"]["choice"]["description"]
    words = {
        word: part["description"]
        for form in definitions["Range"]["anyOf"]
        for word, part in form["properties"].items()
        if "description" in part
    }
    beside = {word: definitions[word]["description"] for word in MODIFIERS}
    return {"choice": choice, **words, **beside}


def _pair(word: str) -> str:
    return "TwoIntegers" if word in ("int", "logint") else "TwoNumbers"
