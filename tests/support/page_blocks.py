"""The code blocks of the documentation, as values.

Comments before a block say how it is tested:

- ``<!-- not run: REASON -->``: the block is neither run nor loaded;
- ``<!-- with: {trial: {params: …}} -->``: the rest of the study, for a block that shows a part of one;
- ``<!-- before: COMMAND -->``: what a reader has run already; it runs before the block.

A block with ``title="NAME"`` is a file of that name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
SHELL = ("sh", "console")
_COMMENT = re.compile(r"<!-- (not run|with|before): (.+?) -->", re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: its file.
        line: the line of its first fence.
        language: the word after the fence; empty: none.
        text: its content.
        file: the name of the file that it is; None: it has no title.
        remarks: the comments before it, by their word.
    """

    page: Path
    line: int
    language: str
    text: str
    file: str | None = None
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether the block is tested."""
        return "not run" not in self.remarks

    @property
    def commands(self) -> str:
        """The commands of a block for a shell, without the output that it shows."""
        if self.language != "console":
            return self.text
        return "".join(f"{line[2:]}\n" for line in self.text.splitlines() if line.startswith("$ "))


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    remarks: dict[str, list[str]] = {}
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            for word, value in _COMMENT.findall(token.content):
                remarks.setdefault(word, []).append(value)
        elif token.type == "fence":
            assert token.map is not None
            title = _TITLE.search(token.info)
            language = token.info.split(" ")[0]
            file = title[1] if title else None
            yield Block(page, token.map[0] + 1, language, token.content, file, remarks)
            remarks = {}
    assert not remarks, f"{page}: no block follows {remarks}"


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def calls(script: str) -> Iterator[list[str]]:
    """The words of each call of ``tunecli`` in a script, without the name of the program."""
    return (words[1:] for words in commands_in(script) if words[0] == "tunecli")


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each command of a script, its program first."""
    lines = script.replace("\\\n", " ").splitlines()
    while lines:
        line = lines.pop(0)
        while (tokens := _tokens(line)) is None and lines:  # a text in quotes goes on in the next line
            line += "\n" + lines.pop(0)
        words: list[str] = []
        is_file = False  # the word after a redirection
        for word in [*(tokens or ()), ";"]:
            if is_file:
                is_file = False
            elif set(word) & set("<>") and set(word) <= set("<>&"):
                is_file = True
                if words and words[-1].isdigit():
                    words.pop()  # the number of a stream
            elif set(word) <= set("();|&"):
                while words and re.fullmatch(r"\w+=.*", words[0]):
                    words.pop(0)  # a variable of the environment
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def _tokens(line: str) -> list[str] | None:
    """The words of a line; None: a quotation is open at its end."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return [*lexer]
    except ValueError:
        return None
