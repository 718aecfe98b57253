"""The script of the page, joined from its parts.

Each part owns one thing that the page can do with a script. None of them runs text as code, writes HTML or asks a
server, so a content security policy can name the whole by its hash.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PARTS = ("values", "filter", "marks", "table", "lines", "panel", "live")
"""The files of the folder ``script``, in their order: `live` begins, and needs all others."""


@cache
def page_script() -> str:
    """The page's script, without comments and indentation, as one function that runs at once."""
    folder = files(__package__).joinpath("script")
    lines = (
        line.strip()
        for part in PARTS
        for line in folder.joinpath(f"{part}.js").read_text("utf-8").splitlines()
    )
    kept = "\n".join(line for line in lines if line and not line.startswith("//"))
    return f'"use strict";\n(() => {{\n{kept}\n}})();'
