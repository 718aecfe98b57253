"""Find sentences that are hard to read in docstrings, comments and texts for users. ``python -m tests.style.prose [PATH …]``

Each pattern describes one habit: clauses in place of nouns, rare words, programs that act like persons, laws cited by
number. If a pattern matches a good sentence, make the pattern narrower here; do not change the sentence.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE_PATH = Path(__file__).parents[2] / "tunecli"

PATTERNS = {
    "a clause with `what` as a noun": (
        r"\bwhat (it|they|one|he|a|an|the|each|every|its|no|of|else|is|are|was|were|has|have|had|can|cannot|may|must|"
        r"would|does|did|goes|came|comes|follows|ends?|ended|begins?|keeps?|makes?|says?|tells?|gives?|holds?|remains?|"
        r"belongs|failed|learns?|led|leads|keeps|this|that|these|others|two|several|all|any|another|so|such|you)\b"
    ),
    "a preposition with `what` or `whom`": r"\b(of|to|by|for|from|in|with|than|beside|at|on|after|before|as) (what|whom|who)\b",
    "whoever, whatever": r"\b(whoever|whosoever|whatever|whichever|wherever|whence|wherein|thereof|therein|hereof|aught|naught|lest|albeit)\b",
    "where there is none": (
        r"\bwhere (there (is|are) (none|one|no|any|several)|nothing|none|nobody|no one|it (is|has|does|can|was|had) (none|no|not|one)|they (are|have)|one (is|has))\b"
    ),
    "an impersonal subject": r"\b(nobody|no one|anybody|somebody)\b",
    "none as a person": r"\b(and|,|;|or) none (is|are|was|has|can|does|where)\b|\bnone where\b|(?-i:\bnone is\b)",
    "a program that is told": r"\b(is|are|was|were|be|been|being) (not )?(told|held to|thought|wished|let pass|had by|gone by|asked for)\b",
    "a thing that stands": r"\b(stands|stand|stood) (for|in|there|at|as|by|on|beside|alone|under|where|after|before|first|last)\b",
    "is to be": r"\b(is|are|was|were) (not )?to (be|have|hold|go|give|take|keep|come|end|run|see|say|tell|know|train|show|do|read|stop|make|get|find|fit)\b",
    "be it": r"\bbe it\b|\bbe they\b|\bbe (there|he) ",
    "goes by": r"\b(goes|go|going|went|gone) by\b",
    "a law by its number": r"\blaws? \d",
    "old words": (
        r"\b(so is one|such a one|for want of|as well not|no news|is of no|of its making|wont|ere|forth|hither|"
        r"upon|thus far|thereby|whereby|hereby|therewith|herewith|in vain|for ever|none but|nought|save that|unto)\b"
    ),
    "a verb of a person": r"\b(takes part|is sure|knows of|has a say|is at a loss|makes believe|promises? most|believes?|believed|wishes|wished for)\b",
}
_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in PATTERNS.items()}
_QUOTED = re.compile(r"``[^`]*``|`[^`]*`|:\w+:`[^`]*`")


@dataclass(frozen=True, slots=True)
class Text:
    """One docstring, comment or string of the package, or a line of the documentation, and where it begins."""

    path: Path
    line: int
    kind: str
    text: str

    def findings(self) -> list[str]:
        """The names of the patterns that the text meets, code in backticks left out."""
        prose = _QUOTED.sub("`x`", self.text)
        prose = re.sub(r"\s+", " ", prose)
        return [
            f"{name}: {found[0]}" for name, pattern in _COMPILED.items() if (found := pattern.search(prose))
        ]


def texts_of(path: Path) -> Iterator[Text]:
    """Every docstring, string and comment of a module; strings without a blank are no sentences and are left out."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            # A string that is a statement of its own documents the module, class, function or name before it.
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docstrings.add(id(value))
                yield Text(path, value.lineno, "docstring", value.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "`x`" for part in node.values]
            yield Text(path, node.lineno, "string", "".join(map(str, parts)))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and " " in node.value.strip()
        ):
            yield Text(path, node.lineno, "string", node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(path, token.start[0], "comment", token.string)


def texts(root: Path = PACKAGE_PATH) -> list[Text]:
    """Every text of a file or of all modules of a folder."""
    paths = [root] if root.is_file() else sorted(root.rglob("*.py"))
    return [text for path in paths for text in texts_of(path)]


def pages(root: Path) -> list[Text]:
    """Every paragraph, list item and table row of the documentation, without its code blocks.

    The rows of a table that shows sentences to avoid are left out: its heading is ``| not | but |``.
    """
    found = []
    for path in sorted([root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]):
        is_code = is_example = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.lstrip().startswith("```"):
                is_code = not is_code
            is_example = line.startswith("|") and (is_example or line.startswith("| not |"))
            if not is_code and not is_example:
                found.append(Text(path, number, "page", line))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[PACKAGE_PATH])
    parser.add_argument("--quiet", action="store_true", help="print the totals alone")
    asked = parser.parse_args()
    found = [text for path in asked.paths for text in texts(path)]
    found += pages(PACKAGE_PATH.parent) if asked.paths == [PACKAGE_PATH] else []
    for kind in ("docstring", "string", "comment", "page"):
        of_kind = [text for text in found if text.kind == kind]
        hits = [(text, text.findings()) for text in of_kind]
        hits = [(text, findings) for text, findings in hits if findings]
        if not asked.quiet:
            for text, findings in hits:
                print(f"{text.path}:{text.line}: {kind}: {'; '.join(findings)}")
        print(f"{kind}s: {len(hits)} of {len(of_kind)} ({100 * len(hits) / max(1, len(of_kind)):.1f} %)")


if __name__ == "__main__":
    main()
