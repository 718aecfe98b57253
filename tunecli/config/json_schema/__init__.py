"""The JSON Schema of a file, for editors, and how it is written as a text."""

from tunecli.config.json_schema.document import json_schema
from tunecli.config.json_schema.layout import schema_text

__all__ = ["MODELINE", "SCHEMA_FILE", "json_schema", "schema_text"]

SCHEMA_FILE = "tunecli.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
