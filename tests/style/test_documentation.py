"""The pages of the documentation link to each other, and a newcomer finds every page and every verb."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import typer
import yaml

from tunecli.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def headings(page: Path) -> set[str]:
    """The names of a page's headings in links, as GitHub forms them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def links(page: Path) -> list[tuple[Path, str]]:
    """The file and the heading of each link of a page to the documentation."""
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    return [((page.parent / file).resolve() if file else page, heading) for file, heading in targets]


def listed_pages(nav: object) -> list[str]:
    """The pages of a part of the site's navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in listed_pages(part)]


def test_each_link_leads_to_a_page_and_a_heading():
    lost = [
        (page.name, target.name, heading)
        for page in PAGES
        for target, heading in links(page)
        if not target.exists() or (heading and heading not in headings(target))
    ]
    assert not lost


def test_the_navigation_of_the_site_lists_each_page_once():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))
    assert sorted(listed_pages(nav)) == sorted([*pages, "changelog.md", "contributing.md"])


def test_the_home_page_lists_each_page():
    listed = {target for target, _ in links(ROOT / "docs/index.md")}
    assert {*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"} <= listed | {
        ROOT / "docs/index.md"
    }


def test_links_to_other_hosts_are_whole_addresses():
    for page in PAGES:
        for address in re.findall(r"https?:[^\s)>\"`']*", page.read_text(encoding="utf-8")):
            parts = urlsplit(address)
            assert parts.scheme == "https" and "." in (parts.hostname or ""), f"{page.name}: {address}"


def test_the_table_of_commands_has_each_verb_once():
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([a-z]+)[ `]", text.split("## Exit codes")[0], re.MULTILINE)
    verbs = typer.main.get_command(app).commands
    assert sorted(shown) == sorted(verbs)
