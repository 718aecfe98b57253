"""A disk that may lose, when its power goes, whatever it was not told to sync: in any part, and in any order.

Contents and names are apart, as in POSIX: a sync of a file keeps its content, one of its folder keeps the names in it.
What was not synced may be there or not: of contents each sector of 512 bytes by itself; of names, which file systems
keep in a journal, the changes up to any one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SECTOR_BYTES = 512

Image = dict[str, bytes]
Step = Sequence[Any]


@dataclass
class Content:
    """What a file holds: what was synced, and what was written since."""

    synced: bytes = b""
    written: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut off there

    def after(self, kept: float, chance: random.Random) -> bytes:
        """The content where each sector that was not synced is kept with probability ``kept``."""
        content = bytearray(self.synced)
        for offset, data in self.written:
            if data is None:
                if chance.random() < kept:
                    del content[offset:]
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if chance.random() < kept:
                    part, at = data[start : start + SECTOR_BYTES], offset + start
                    content.extend(bytes(max(0, at - len(content))))
                    content[at : at + len(part)] = part
        return bytes(content)


class Disk:
    """One folder of it."""

    def __init__(self, image: Image) -> None:
        self._names = {name: Content(data) for name, data in image.items()}
        self._earlier: list[dict[str, Content]] = [
            dict(self._names)
        ]  # after each change of a name since the sync

    def take(self, step: Step) -> None:
        """Carry out a step as `recorded` writes it down."""
        match step:
            case ["write", name, offset, data]:
                self._names[name].written.append((offset, bytes.fromhex(data)))
            case ["truncate", name, size]:
                self._names[name].written.append((size, None))
            case ["sync", name]:
                content = self._names[name]
                content.synced, content.written = content.after(1.0, random.Random(0)), []
            case ["sync folder"]:
                self._earlier = [dict(self._names)]
            case ["create", name]:
                self._names[name] = Content()
                self._earlier.append(dict(self._names))
            case ["rename", old, new]:
                self._names[new] = self._names.pop(old)
                self._earlier.append(dict(self._names))
            case ["remove", name]:
                del self._names[name]
                self._earlier.append(dict(self._names))
            case _:
                raise AssertionError(step)

    def after_power_loss(self, chance: random.Random, n: int) -> Iterator[Image]:
        """What may be found: nothing lost, all lost that can be, either of contents and names alone, and ``n`` at random."""
        for names in (self._earlier[0], self._earlier[-1]):
            for kept in (0.0, 1.0):
                yield _image(names, kept, chance)
        for _ in range(n):
            yield _image(chance.choice(self._earlier), chance.random(), chance)


def _image(names: dict[str, Content], kept: float, chance: random.Random) -> Image:
    return {name: content.after(kept, chance) for name, content in names.items()}
