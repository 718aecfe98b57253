"""A disk with folders in it, driven by the record of `preload.c`, that may lose whatever it was not told to sync.

As `disk.Disk` loses contents and names, each folder of it by itself: what a folder's sync keeps is the names in it, and
neither what those files hold nor its own name in the folder above. Many a file system keeps more: with one journal for
all names, any sync keeps all of them, and still no other file's content. Both kinds are tried.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.lossy_disk import Content

Tree = dict[str, bytes | None]
"""By path below the folder: what a file holds; None for a folder."""


@dataclass(eq=False)
class Directory:
    """The names in it.

    Attributes:
        names: as they are.
        earlier: the synced ones, and those after each change since then.
        in_journal: as they were when anything at all was last synced.
    """

    names: dict[str, Content | Directory] = field(default_factory=dict)
    earlier: list[dict[str, Content | Directory]] = field(default_factory=lambda: [{}])
    in_journal: dict[str, Content | Directory] = field(default_factory=dict)

    def change(self, name: str, item: Content | Directory | None) -> None:
        """Give ``item`` that name; None: nothing has it any more."""
        if item is None:
            del self.names[name]
        else:
            self.names[name] = item
        self.earlier.append(dict(self.names))

    def sync(self) -> None:
        """Keep the names."""
        self.earlier = [dict(self.names)]


NamesOf = Callable[[Directory], dict[str, Content | Directory]]


class DiskTree:
    """One folder of a disk with all that is below it; at first it is empty."""

    def __init__(self, inode: int) -> None:
        self._root = Directory()
        self._by_inode: dict[int, Content | Directory] = {inode: self._root}
        self._directories = [self._root]

    def take(self, line: str) -> None:
        """Carry out a line of the record."""
        match line.split(" "):
            case ["create", inode, folder, name]:
                self._make(Content(), inode, folder, name)
            case ["mkdir", inode, folder, name]:
                self._make(Directory(), inode, folder, name)
            case ["write", inode, offset, data]:
                self._file(inode).written.append((int(offset), bytes.fromhex(data)))
            case ["truncate", inode, size]:
                self._file(inode).written.append((int(size), None))
            case ["sync", inode]:
                item = self._by_inode[int(inode)]
                for each in self._directories:
                    each.in_journal = dict(each.names)
                if isinstance(item, Directory):
                    item.sync()
                else:
                    item.synced, item.written = item.after(1.0, random.Random(0)), []
            case ["rename", folder, name, new_folder, new_name]:
                assert folder == new_folder, "between two folders either may be kept without the other"
                directory, old = self._directory(folder), _name(name)
                item = directory.names.pop(old)
                directory.change(_name(new_name), item)
            case ["link", folder, name, new_folder, new_name]:
                item = self._directory(folder).names[_name(name)]
                self._directory(new_folder).change(_name(new_name), item)
            case ["remove", folder, name]:
                self._directory(folder).change(_name(name), None)
            case _:
                raise AssertionError(line)

    def _make(self, item: Content | Directory, inode: str, folder: str, name: str) -> None:
        self._by_inode[int(inode)] = item  # a number whose file has gone may be given again
        self._directory(folder).change(_name(name), item)
        if isinstance(item, Directory):
            self._directories.append(item)

    def _file(self, inode: str) -> Content:
        found = self._by_inode[int(inode)]
        assert isinstance(found, Content)
        return found

    def _directory(self, inode: str) -> Directory:
        found = self._by_inode[int(inode)]
        assert isinstance(found, Directory)
        return found

    def now(self) -> Tree:
        """What is there while the power is on."""
        return _tree(self._root, lambda directory: directory.names, 1.0, random.Random(0))

    def after_power_loss(self, chance: random.Random, n: int) -> Iterator[Tree]:
        """What may be found: all lost that can be, nothing lost, either of contents and names alone; all names; ``n`` at random."""
        for which in (0, -1):
            for kept in (0.0, 1.0):
                yield _tree(self._root, lambda directory, at=which: directory.earlier[at], kept, chance)
        for kept in (0.0, 0.5):
            yield _tree(self._root, lambda directory: directory.in_journal, kept, chance)
        for _ in range(n):
            yield _tree(
                self._root, lambda directory: chance.choice(directory.earlier), chance.random(), chance
            )


def _name(text: str) -> str:
    return bytes.fromhex(text).decode()


def _tree(directory: Directory, names_of: NamesOf, kept: float, chance: random.Random) -> Tree:
    found: Tree = {}
    for name, item in names_of(directory).items():
        if isinstance(item, Directory):
            found[name] = None
            below = _tree(item, names_of, kept, chance)
            found |= {f"{name}/{path}": content for path, content in below.items()}
        else:
            found[name] = item.after(kept, chance)
    return found


def write_tree(tree: Tree, path: Path) -> None:
    """Make the folder ``path`` with all of that in it."""
    path.mkdir(parents=True)
    for name, content in tree.items():
        if content is None:
            (path / name).mkdir()
        else:
            (path / name).write_bytes(content)
