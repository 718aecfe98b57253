"""The style sheet: contrast in both themes, colours for people with red-green weakness, print."""

import re

import pytest

from tests.results.page.documents import read
from tests.results.page.test_page import whole_report
from tunecli.results.page.page import page_of, page_style

# Vienot, Brettel, Mollon (1999): a deuteranope sees linear RGB through this matrix.
DEUTERANOPE = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


def themes():
    roots = re.findall(r":root\s*\{([^}]*)\}", page_style())
    light, dark = (dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6,8})", root)) for root in roots)
    return {"light": light, "dark": {**light, **dark}}


def linear(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(channels):
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def contrast(one, other):
    """WCAG 2.2, "contrast ratio": (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_formula_of_contrast_gives_the_known_ratios():
    assert contrast(linear("#ffffff"), linear("#000000")) == pytest.approx(21)
    assert contrast(linear("#767676"), linear("#ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "dim", "accent", "alarm", "highlight"])
@pytest.mark.parametrize("ground", ["bg", "card", "code"])
def test_text_is_readable_on_every_ground(theme, text, ground):
    colours = themes()[theme]
    assert contrast(linear(colours[text]), linear(colours[ground])) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("colour", ["blue", "best", "bold", "other", "highlight"])
def test_marks_are_visible_on_their_card(theme, colour):
    colours = themes()[theme]
    assert contrast(linear(colours[colour]), linear(colours["card"])) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_best_and_others_differ_with_red_green_weakness(theme):
    colours = themes()[theme]
    seen = [
        [sum(w * c for w, c in zip(row, linear(colours[name]), strict=True)) for row in DEUTERANOPE]
        for name in ("best", "blue")
    ]
    blueness = [(channels[2] + 0.01) / (channels[0] + 0.01) for channels in seen]
    assert max(blueness) / min(blueness) > 4


def test_every_class_that_a_figure_uses_has_a_style():
    named = set(re.findall(r"\.([a-zA-Z][\w-]*)", page_style()))
    used = {
        name
        for element in read(page_of(whole_report())).all()
        if element.tag in ("circle", "path", "rect", "line", "svg", "text", "g")
        for name in element.classes
    }
    assert used <= named | {"complete", "name", "chart", "wide"}, used - named


def test_every_variable_that_the_style_uses_has_a_value_in_the_light_theme():
    used = set(re.findall(r"var\(--([\w-]+)\)", page_style()))
    assert used <= set(themes()["light"])


def test_print_and_narrow_pages_have_rules():
    assert "@media print" in page_style()
    assert "@media (max-width: 640px)" in page_style()


def test_a_finding_takes_no_style_from_the_controls_of_the_table():
    tree = read(page_of(whole_report()))
    classes = {name for element in tree.all("li") if "finding" in element.classes for name in element.classes}
    assert classes == {"finding", "of-misleading"}
