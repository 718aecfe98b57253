"""No page and no message installs `tunecli` by its name: on the package index another project has it."""

import re
import tomllib

import pytest

from tests.support.page_blocks import PAGES, ROOT

INSTALLING = (ROOT / "docs/guide/installing.md").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BY_NAME = re.compile(
    r"(pip3?|pipx|uv( tool| pip)?) (install|download|add|run)[^\n`]*(?<![\w/.-])tunecli(?![\w/.*-])"
    r"|uvx? (add |tool run )?tunecli|tunecli\[[a-z]"
)
TEXTS = sorted(
    path
    for folder in ("tunecli", "configs", "docs", "dev")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md", ".yaml", ".json", ".js", ".svg") and "signs" not in path.parts
)


def by_name(text: str) -> list[str]:
    return [match[0] for match in BY_NAME.finditer(text)]


@pytest.mark.parametrize(
    "text",
    [
        "pip install tunecli",
        "pip install 'tunecli[ray]'",
        "pip install --upgrade tunecli",
        "pipx install tunecli",
        "uv tool install tunecli --with pillow",
        "uv pip install tunecli",
        "needs tunecli[onnx]",
        "uvx tunecli",
    ],
)
def test_the_pattern_finds_an_installation_by_name(text):
    assert by_name(text)


@pytest.mark.parametrize(
    "text", ["pip install .", "pip install dist/tunecli-*.whl", "pipx inject tunecli pillow", "tunecli init"]
)
def test_the_pattern_leaves_other_commands_alone(text):
    assert not by_name(text)


def test_no_page_and_no_text_of_the_program_installs_tunecli_by_its_name():
    wrong = {
        str(path.relative_to(ROOT)): matches
        for path in {*PAGES, *TEXTS, ROOT / "CHANGELOG.md"}
        if (matches := by_name(path.read_text(encoding="utf-8")))
    }
    assert not wrong


def test_a_package_that_needs_tunecli_does_not_fetch_it_by_name():
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    assert re.findall(r"^dependencies = (\[.*?\])", page, re.MULTILINE) == ["[]"]


def test_the_page_has_each_extra_with_the_command_of_its_packages():
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]+\| `pip install ([^`]+)` \|$", INSTALLING, re.MULTILINE))
    wanted = {name: EXTRAS[name] for name in set(EXTRAS) - {"dev", "docs", "slow"}}
    assert {name: re.findall(r"'([^']+)'", command) for name, command in rows.items()} == wanted
