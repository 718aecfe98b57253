"""Reads a page as a browser's parser does, as far as tests need it: elements, their attributes and their text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "input", "img", "hr"}
CLOSED_BY_OTHERS = {"td", "th", "tr", "thead", "tbody"}


@dataclass
class Element:
    """An element with its attributes, its children and its text."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    own_text: str = ""

    def all(self, tag: str = "") -> Iterator[Element]:
        """This element and those below it, in the order of the page; only those of one kind, if ``tag`` is given."""
        if not tag or self.tag == tag:
            yield self
        for child in self.children:
            yield from child.all(tag)

    @property
    def text(self) -> str:
        return self.own_text + "".join(child.text for child in self.children)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document")
        self.open = [self.root]

    def handle_starttag(self, tag, attributes):
        element = Element(tag, {name: value or "" for name, value in attributes})
        assert len(element.attributes) == len(attributes), f"an attribute twice: {tag} {attributes}"
        while (
            tag in CLOSED_BY_OTHERS
            and self.open[-1].tag in CLOSED_BY_OTHERS
            and self._ends(self.open[-1].tag, tag)
        ):
            self.open.pop()
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    @staticmethod
    def _ends(opened: str, tag: str) -> bool:
        order = {"thead": 0, "tbody": 0, "tr": 1, "td": 2, "th": 2}
        return order[opened] >= order[tag]

    def handle_startendtag(self, tag, attributes):
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag):
        while self.open[-1].tag != tag:
            left = self.open.pop()
            assert left.tag in CLOSED_BY_OTHERS, f"</{tag}> closes <{left.tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].own_text += data


def read(page: str) -> Element:
    """The page as a tree; an element that is closed in the wrong order fails the test."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root
