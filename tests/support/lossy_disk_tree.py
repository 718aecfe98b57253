"""A model of a disk with folders that can lose unsynced data, driven by a record of `preload.c`.

It loses contents and names like `lossy_disk.Disk`, each folder independently: the sync of a folder keeps the names in
it, but neither the contents of its files nor its own name in its parent. Many file systems keep more: with one journal
for all names, any sync keeps all names, but no other file's content. The tests use both kinds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.lossy_disk import Content

Tree = dict[str, bytes | None]
"""The content of each file, None for a folder, by the path below the root folder."""


@dataclass(eq=False)
class Directory:
    """The names in a folder.

    Attributes:
        names: the current names.
        earlier: the synced names, and the names after each change since then.
        in_journal: the names at the last sync of any file or folder.
    """

    names: dict[str, Content | Directory] = field(default_factory=dict)
    earlier: list[dict[str, Content | Directory]] = field(default_factory=lambda: [{}])
    in_journal: dict[str, Content | Directory] = field(default_factory=dict)

    def change(self, name: str, item: Content | Directory | None) -> None:
        """Give ``item`` the name; None removes the name."""
        if item is None:
            del self.names[name]
        else:
            self.names[name] = item
        self.earlier.append(dict(self.names))

    def sync(self) -> None:
        """Make the current names durable."""
        self.earlier = [dict(self.names)]


NamesOf = Callable[[Directory], dict[str, Content | Directory]]


class DiskTree:
    """A folder of the disk with everything below it; empty at first."""

    def __init__(self, inode: int) -> None:
        self._root = Directory()
        self._by_inode: dict[int, Content | Directory] = {inode: self._root}
        self._directories = [self._root]

    def take(self, line: str) -> None:
        """Apply one line of the record."""
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
        self._by_inode[int(inode)] = item  # the number of a removed file can be used again
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
        """The tree without any loss."""
        return _tree(self._root, lambda directory: directory.names, 1.0, random.Random(0))

    def after_power_loss(self, chance: random.Random, n: int) -> Iterator[Tree]:
        """Possible trees: all or no unsynced data lost, only contents or names lost, all names kept, and ``n`` random ones."""
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
    """Write a tree to the folder ``path``."""
    path.mkdir(parents=True)
    for name, content in tree.items():
        if content is None:
            (path / name).mkdir()
        else:
            (path / name).write_bytes(content)
