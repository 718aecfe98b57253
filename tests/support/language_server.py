"""A client of `yaml-language-server`, which speaks its protocol over the process's pipes."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / ".bin" / "yaml-language-server"
_SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}}


class LanguageServer:
    """One process of the server. A text has `|` where the cursor is."""

    def __init__(self, folder: Path, schema: Path) -> None:
        self._folder, self._modeline = folder, f"# yaml-language-server: $schema={schema}\n"
        self._process = subprocess.Popen(
            [str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._numbers = itertools.count(1)
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        item = {"snippetSupport": True, "documentationFormat": ["markdown"]}
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": item},
                "hover": {"contentFormat": ["markdown"]},
            },
            "workspace": {"configuration": True},
        }
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        self._send({"method": "initialized", "params": {}})

    def close(self) -> None:
        """End the process."""
        self._ask("shutdown", None)
        self._process.kill()
        self._process.communicate()

    def completions(self, text: str) -> list[dict[str, Any]]:
        """The items that the server offers at the cursor."""
        uri, position = self._open(text)
        answer = self._ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": position})
        items: list[dict[str, Any]] = answer["items"] if isinstance(answer, dict) else answer
        return items

    def hover(self, text: str) -> str:
        """The text that the server shows at the cursor, without its source."""
        uri, position = self._open(text)
        answer = self._ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})
        return str(answer["contents"]["value"]).partition("Source:")[0].strip() if answer else ""

    def problems(self, text: str) -> list[dict[str, Any]]:
        """The diagnostics of a text without a cursor."""
        uri, _ = self._open(text + "|")
        while uri not in self._diagnostics:
            self._read()
        return self._diagnostics[uri]

    def _open(self, text: str) -> tuple[str, dict[str, int]]:
        text = self._modeline + text
        before, _, after = text.rpartition("|")
        uri = (self._folder / f"{next(self._numbers)}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": before + after}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return uri, {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _ask(self, method: str, params: Any) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            asked = (
                message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
            )
            self._send(
                {"id": message["id"], "result": [_SETTINGS.get(item.get("section"), {}) for item in asked]}
            )
        return message
