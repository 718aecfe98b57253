"""The pages of the documentation link to each other, and a newcomer finds every page and every verb."""

import re
from pathlib import Path

import typer

from tunecli.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def headings(page: Path) -> set[str]:
    """The names of a page's headings in links, as GitHub forms them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def links(page: Path) -> list[tuple[Path, str]]:
    """The file and the heading of each link of a page to the documentation."""
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    return [((page.parent / file).resolve() if file else page, heading) for file, heading in targets]


def test_each_link_leads_to_a_page_and_a_heading():
    lost = [
        (page.name, target.name, heading)
        for page in PAGES
        for target, heading in links(page)
        if not target.exists() or (heading and heading not in headings(target))
    ]
    assert not lost


def test_the_readme_lists_each_page():
    listed = {target for target, _ in links(PAGES[0])}
    assert set(PAGES[1:]) <= listed


def test_the_table_of_commands_has_each_verb_once():
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([a-z]+)[ `]", text.split("## Exit codes")[0], re.MULTILINE)
    verbs = typer.main.get_command(app).commands
    assert sorted(shown) == sorted(verbs)
