"""A model of a disk that can lose unsynced data in a power loss, in any part and any order.

Contents and names are separate, as in POSIX: the sync of a file keeps its content, the sync of a folder keeps the names
in it. Of unsynced contents, each sector of 512 bytes is kept or lost independently. Of unsynced names, which file
systems keep in a journal, the changes up to any point are kept.
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
    """The content of a file: the synced bytes, and the writes since then."""

    synced: bytes = b""
    written: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: truncated there

    def after(self, kept: float, chance: random.Random) -> bytes:
        """A possible content: each unsynced sector is kept with probability ``kept``."""
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
    """A folder of files on the disk."""

    def __init__(self, image: Image) -> None:
        self._names = {name: Content(data) for name, data in image.items()}
        self._earlier: list[dict[str, Content]] = [
            dict(self._names)
        ]  # after each change of a name since the sync

    def take(self, step: Step) -> None:
        """Apply one operation of a record of `store_recorder`."""
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
        """Possible states: nothing lost, everything unsynced lost, only contents or names lost, and ``n`` random ones."""
        for names in (self._earlier[0], self._earlier[-1]):
            for kept in (0.0, 1.0):
                yield _image(names, kept, chance)
        for _ in range(n):
            yield _image(chance.choice(self._earlier), chance.random(), chance)


def _image(names: dict[str, Content], kept: float, chance: random.Random) -> Image:
    return {name: content.after(kept, chance) for name, content in names.items()}
