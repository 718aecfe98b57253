"""Parts of figures as SVG: the frame, gridlines, marks of trials, lines and legends.

A figure has no fixed width. Positions across are in percent and heights in pixels, so the text keeps its size on a
telephone and on a wide screen. Lines are drawn in a box of 1,000 units that the browser stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.results.page.axes import Ticks
from tunecli.results.page.markup import Markup, decimals, join, tag

BOX = 1000
_SHORT_LABEL = 4
_SHAPES = {
    "diamond": "M0-6L6 0 0 6-6 0z",
    "cross": "M-3.5-3.5 3.5 3.5M-3.5 3.5 3.5-3.5",
    "square": "M-3-3H3V3H-3z",
    "up": "M-4 3H4L0-4z",
    "down": "M-4-3H4L0 4z",
    "left": "M3-4V4L-4 0z",
    "right": "M-3-4V4L4 0z",
    "tick": "M0-5V5",
    "bar": "M-7 0H7",
    "dashed": "M-7 0H-3M-1 0H3M5 0H7",
    "step": "M-7 4H0V-4H7",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of one figure.

    Attributes:
        name: unique on the page, in lower case.
        title: its subject, in a few words.
        description: its content in sentences, for people who do not see it.
        height: of the plot, in pixels.
        left: space for labels on the left, in pixels: 0, 12, 60 or 92.
        bottom: space below the plot, in pixels.
        top: space above the plot, in pixels.
        kind: a further class.
    """

    name: str
    title: str
    description: str
    height: int
    left: int = 60
    bottom: int = 34
    top: int = 10
    kind: str = ""


def figure(frame: Frame, *parts: str, caption: str = "", below: str = "") -> Markup:
    """A figure: its plot, a caption, and further content, such as a table."""
    title, description = f"{frame.name}-title", f"{frame.name}-desc"
    drawing = tag(
        "svg",
        tag("title", frame.title, id=title),
        tag("desc", frame.description, id=description),
        tag("g", *parts, transform=f"translate(0 {frame.top})"),
        class_=f"chart left-{frame.left} {frame.kind}".strip(),
        role="img",
        aria_labelledby=title,
        aria_describedby=description,
        height=frame.top + frame.height + frame.bottom,
    )
    text = tag("figcaption", caption) if caption else Markup("")
    return tag("figure", text, drawing, below)


def rows_grid(ticks: Ticks, height: int, *, labels: bool = True) -> Markup:
    """Horizontal gridlines with their labels on the left."""
    parts: list[str] = []
    for position, label in zip(ticks.positions, ticks.labels, strict=True):
        y = (1 - position) * height
        parts.append(tag("line", class_="grid", x1=0, x2="100%", y1=y, y2=y))
        if labels:
            parts.append(tag("text", label, x=-8, y=y + 4, class_="end"))
    return join(parts)


def columns_grid(ticks: Ticks, height: int, *, lines: bool = True) -> Markup:
    """Vertical gridlines with their labels below."""
    parts: list[str] = []
    for position, label in zip(ticks.positions, ticks.labels, strict=True):
        x = percent(position)
        if lines:
            parts.append(tag("line", class_="grid", x1=x, x2=x, y1=0, y2=height))
        parts.append(tag("text", label, x=x, y=height + 16, class_=_anchor(position, label)))
    return join(parts)


def _anchor(position: float, label: str) -> str:
    """Short labels have room beside the plot, so they lie below their tick also at its ends."""
    if len(label) <= _SHORT_LABEL:
        return "middle"
    return "start" if position < 0.03 else "end" if position > 0.97 else "middle"


def base_line(height: float) -> Markup:
    """The line below a plot."""
    return tag("line", class_="base", x1=0, x2="100%", y1=height, y2=height)


def axis_name(text: str, height: int, *, y: int = 32) -> Markup:
    """The name of the axis below a plot."""
    return tag("text", text, x="50%", y=height + y, class_="middle name")


def percent(position: float) -> str:
    """A position from 0 to 1 as a coordinate."""
    return f"{decimals(100 * position)}%"


def mark(
    number: int | None, x: float, y: float, kind: str = "", *, shape: str = "", title: str = ""
) -> Markup:
    """The mark of a trial: a dot, or a shape that differs from it without colour.

    Args:
        number: of the trial; None: the mark belongs to no trial.
        x: position across, from 0 to 1.
        y: position down, in pixels.
        kind: further classes.
        shape: a name of `_SHAPES`; empty: a dot.
        title: a text that browsers show when the pointer rests on the mark.
    """
    classes = f"t {kind}".strip() if number is not None else kind
    inside = [tag("title", title)] if title else []
    data = None if number is None else str(number)
    if not shape:
        return tag("circle", *inside, class_=classes, data_t=data, cx=percent(x), cy=y, r=3.5)
    path = tag("path", d=_SHAPES[shape])
    return tag("svg", *inside, path, class_=classes, data_t=data, x=percent(x), y=y)


def lines(height: float, *paths: str) -> Markup:
    """A box of `BOX` units across and ``height`` units down that holds paths; the browser stretches it."""
    return tag(
        "svg",
        *paths,
        class_="lines",
        viewBox=f"0 0 {BOX} {decimals(height)}",
        preserveAspectRatio="none",
        width="100%",
        height=height,
    )


def path_through(points: Sequence[tuple[float, float]], height: float, *, is_step: bool = False) -> str:
    """The outline through points (across and up, from 0 to 1), each relative to the one before it."""
    if not points:
        return ""
    placed = [(round(BOX * x), round(height * (1 - y), 1)) for x, y in points]
    (x, y), *rest = placed
    parts = [f"M{x} {decimals(y)}"]
    if rest and not is_step:
        parts.append("l")
    for to_x, to_y in rest:
        across, down = decimals(to_x - x), decimals(to_y - y)
        if is_step:
            parts.append((f"h{across}" if across != "0" else "") + (f"v{down}" if down != "0" else ""))
        else:
            parts.append(f"{across} {down} ")
        x, y = to_x, to_y
    return "".join(parts).rstrip()


def legend(entries: Iterable[tuple[str, str, str]]) -> Markup:
    """The meaning of marks.

    Args:
        entries: the classes of the mark, its shape (empty: a dot), and its meaning.
    """
    items = []
    for classes, shape, meaning in entries:
        inside = tag("path", d=_SHAPES[shape]) if shape else tag("circle", r=3.5)
        glyph = tag("svg", tag("g", inside, class_=classes), viewBox="-8 -8 16 16", aria_hidden="true")
        items.append(tag("li", glyph, " ", meaning))
    return tag("ul", *items, class_="legend")
