"""Hooks of the documentation's site: pages from outside of docs/, and links that work here and in the site.

A page links to a file by its path in the repository, such as `../../configs/digits.yaml` or `../CONTRIBUTING.md`. The
site shows CONTRIBUTING.md, CHANGELOG.md and the text files of configs/ as pages of its own, and these hooks rewrite the
links to them.
"""

import posixpath
import re
import subprocess
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[1]
OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
HOME = "index.md"
LANGUAGES = {
    ".yaml": "yaml",
    ".py": "python",
}  # of the example files that are pages; other example files are downloads
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<after>(#[^)\s]*)?\))")


def on_config(config: Any) -> Any:
    """Name headings as GitHub does, so that one link to a heading works in both places."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that live outside of docs/."""
    for name, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
    listed = subprocess.run(
        ["git", "ls-files", "configs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        language = LANGUAGES.get(path.suffix)
        if language is None:
            files.append(File.generated(config, name, abs_src_path=str(path)))
        else:
            text = path.read_text(encoding="utf-8").rstrip()
            page = f"# {path.name}\n\n`{name}`\n\n````{language}\n{text}\n````\n"
            files.append(File.generated(config, site_uri(name), content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page from paths in the repository to pages of the site."""
    of_page = page.file.src_uri
    source = next((name for name, uri in OUTSIDE.items() if uri == of_page), f"docs/{of_page}")

    def rewritten(link: re.Match[str]) -> str:
        target = link["target"]
        if re.match(r"[a-z]+:", target):
            return link[0]
        in_repository = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        relative = posixpath.relpath(site_uri(in_repository), posixpath.dirname(of_page) or ".")
        return f"{link['before']}{relative}{link['after']}"

    return LINK.sub(rewritten, markdown)


def site_uri(path: str) -> str:
    """The place in the site of a file of the repository."""
    if path == "README.md":
        return HOME
    if path.startswith("configs/") and Path(path).suffix in LANGUAGES:
        return str(Path(path).with_suffix(".md"))
    return OUTSIDE.get(path, path.removeprefix("docs/"))
