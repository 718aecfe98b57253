"""Makes every value of a trial searchable: a schema of values becomes one of values and ranges, defined once."""

from __future__ import annotations

import json
from typing import Any

from tunecli.config.json_schema.range_definitions import RANGE, choice_of
from tunecli.config.json_schema.tidy import plain

_ABOUT = ("description", "default")
_BOUNDS = {"exclusiveMinimum": "Above", "minimum": "From", "exclusiveMaximum": "Below", "maximum": "To"}
_KINDS = {"number": "Number", "integer": "Integer", "boolean": "Boolean", "string": "Text", "null": "Null"}
_LARGEST_IN_A_NAME = 99_999


class SearchableDefinitions:
    """Collects the definitions of searchable values. Equal schemas share one definition."""

    def __init__(self, name_texts: dict[str, str]) -> None:
        """Begin without definitions.

        Args:
            name_texts: a description of each name in a family, by the member's reference and the name.
        """
        self.definitions: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._name_texts = name_texts

    def model(self, definition: dict[str, Any], owner: str) -> dict[str, Any]:
        """A model's schema in which every property may be a range.

        Args:
            definition: the schema; it is left unchanged.
            owner: name of the model.
        """
        searchable: dict[str, Any] = plain(definition)
        properties = searchable.get("properties", {})
        for name, schema in properties.items():
            is_fixed = schema.pop("x-fixed", False)
            # One of several names that take the same keys may be searched.
            if not is_fixed and (name != "name" or "enum" in schema):
                properties[name] = self._or_range(self._open(schema, owner, name), owner, name)
        return searchable

    def _or_range(self, schema: dict[str, Any], owner: str, key: str) -> dict[str, Any]:
        about = {word: schema[word] for word in _ABOUT if word in schema}
        value = {word: part for word, part in schema.items() if word not in _ABOUT}
        name = _plain_name(value) or _words(key)
        parts = value["anyOf"] if set(value) == {"anyOf"} else [value]
        ref = self._define(f"{name}OrRange", f"{owner}.{name}OrRange", {"anyOf": [*parts, RANGE]})
        searchable = {"anyOf": [ref, choice_of(ref)]}
        return about | self._define(f"Searchable{name}", f"{owner}.Searchable{name}", searchable)

    def _define(self, name: str, longer: str, schema: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(schema, sort_keys=True)
        if content not in self._names:
            self._names[content] = name if name not in self.definitions else longer
            self.definitions[self._names[content]] = schema
        return {"$ref": f"#/$defs/{self._names[content]}"}

    def _open(self, schema: dict[str, Any], owner: str, key: str) -> dict[str, Any]:
        """Allow ranges as list items, and a family's member as its name alone or, in a chain, as ``{name: {…}}``."""
        if "items" in schema:
            schema["items"] = self._or_range(self._open(schema["items"], owner, key), owner, f"{key}.item")
        for word in ("anyOf", "oneOf"):
            if word in schema and "discriminator" not in schema:
                schema[word] = [self._open(part, owner, key) for part in schema[word]]
        if "discriminator" in schema:
            about = {word: schema[word] for word in _ABOUT if word in schema}
            return about | self._define(_words(key), f"{owner}.{_words(key)}", {"anyOf": self._forms(schema)})
        return schema

    def _forms(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        members: dict[str, str] = schema["discriminator"]["mapping"]
        texts = [self._name_texts.get(f"{ref}:{name}", "") for name, ref in members.items()]
        names = {"enum": list(members), "enumDescriptions": texts}
        forms: list[dict[str, Any]] = [*({"$ref": ref} for ref in dict.fromkeys(members.values())), names]
        if schema.get("x-chain", False):
            links = {
                name: {"description": text, "anyOf": [{"$ref": ref}, {"type": "null"}]}
                for (name, ref), text in zip(members.items(), texts, strict=True)
            }
            one = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
            forms.append({"type": "object", "properties": links, **one})
        if schema.get("x-file", False):
            forms.append({"type": "string", "pattern": r"\.(csv|npz|parquet)$|/$|\$\{env:"})
        return forms


def _words(key: str) -> str:
    """``decay_exclude`` is ``DecayExclude``."""
    return "".join(word[:1].upper() + word[1:] for word in key.split("_"))


def _plain_name(schema: dict[str, Any]) -> str:
    """A name that says all of a schema, such as ``NumberFrom0Below1``; empty if the schema has more to it."""
    if set(schema) == {"anyOf"}:
        names = [_plain_name(part) for part in schema["anyOf"]]
        return "Or".join(names) if all(names) else ""
    if set(schema) == {"type", "items"} and set(schema["items"]) == {"$ref"}:
        return f"ListOf{schema['items']['$ref'].rpartition('/')[2].removeprefix('Searchable')}"
    if set(schema) <= {"type", "const"} and "const" in schema:
        return _words(str(schema["const"]))
    if set(schema) - {"type", *_BOUNDS} or schema.get("type") not in _KINDS:
        return ""
    bounds = [(word, schema[bound]) for bound, word in _BOUNDS.items() if bound in schema]
    if any(abs(bound) > _LARGEST_IN_A_NAME for _, bound in bounds):
        return ""
    return _KINDS[schema["type"]] + "".join(f"{word}{bound:g}" for word, bound in bounds)
