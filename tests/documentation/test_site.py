"""The site of the documentation builds without a warning, and loads nothing from another host."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.page_blocks import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_builds_without_a_warning_and_loads_nothing_from_another_host(tmp_path):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {
        f"{page.name}: {tag}"
        for page in (tmp_path / "site").rglob("*.html")
        for tag in re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*https?://[^>]*>", page.read_text(encoding="utf-8")
        )
        if 'rel="canonical"' not in tag
    }
    assert not loaded
