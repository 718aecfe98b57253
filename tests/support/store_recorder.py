"""Run an action on a folder, and record its writes, syncs and changes of names on the operating system.

    python tests/support/store_recorder.py ACTION FOLDER RECORD

Wrappers of ``os`` record Python's operations. A VFS around SQLite's default VFS records SQLite's: its files are those of
the default, with three of their methods wrapped (sqlite.org/vfs.html). Every operation is carried out unchanged. The
record has one JSON list on each line:

    ["write", name, offset, hex]   ["truncate", name, size]   ["sync", name]   ["sync folder"]
    ["create", name]   ["rename", old, new]   ["remove", name]   ["mark", returned step]
"""

from __future__ import annotations

import _sqlite3
import ctypes
import json
import os
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

from tests.support.store_actions import ACTIONS

SQLITE_OPEN_CREATE = 0x4
SQLITE_OPEN_MAIN_JOURNAL = 0x800

REFUSALS = {"write": 778, "truncate": 1546, "sync": 1034, "remove": 2570}  # the kinds of SQLITE_IOERR


class File(Structure):
    """``sqlite3_file``, of which only the pointer to its methods is used."""

    _fields_ = [("methods", c_void_p)]


WRITE = CFUNCTYPE(c_int, POINTER(File), c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, POINTER(File), c_int64)
SYNC = CFUNCTYPE(c_int, POINTER(File), c_int)


class Methods(Structure):
    """``sqlite3_io_methods``."""

    _fields_ = [
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", WRITE),
        ("truncate", TRUNCATE),
        ("sync", SYNC),
        ("others", c_void_p * 13),
    ]


# Pass the address of the path, because SQLite keeps it, and reads options after its end.
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(File), c_int, POINTER(c_int))
REMOVE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class Vfs(Structure):
    """``sqlite3_vfs``."""

    _fields_ = [
        ("version", c_int),
        ("file_bytes", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", OPEN),
        ("remove", REMOVE),
        ("others", c_void_p * 14),
    ]


_WATCHING: list[Recorder] = []
"""Callbacks of SQLite, kept alive because SQLite calls them until the process ends."""


class Recorder:
    """Records the operations in ``folder``; SQLite's operation ``refuse_at`` fails like on a bad disk."""

    def __init__(self, folder: Path, path: Path, refuse_at: int = 0) -> None:
        self.folder = folder.resolve()
        self._record = path.open("w", buffering=1)
        self._refuse_at, self._n_asked = refuse_at, 0
        self._opened: dict[int, Path] = {}
        self._kept_alive: list[object] = []

    def note(self, *step: Any) -> None:
        """Record one more operation."""
        self._record.write(json.dumps(step) + "\n")

    def ask(self, what: str, name: str, *step: Any) -> int:
        """Record an operation of SQLite, and return 0, or the error code if it is to fail."""
        self._n_asked += 1
        if self._n_asked == self._refuse_at:
            self.note(f"refuse to {what}", name)
            return REFUSALS[what]
        self.note(what, name, *step)
        return 0

    def name_in_folder(self, path: Any) -> str | None:
        """The name of a path in the folder."""
        found = Path(os.fsdecode(path)).absolute()
        return found.name if found.parent.resolve() == self.folder else None

    def watch_python(self) -> None:
        """Wrap the calls of ``os`` that change files."""

        def opened(result: int, path: Any, flags: int, *_: Any, **__: Any) -> None:
            self._opened[result] = Path(os.fsdecode(path)).absolute()
            if flags & os.O_CREAT and (name := self.name_in_folder(path)):
                self.note("create", name)

        def synced(_: None, descriptor: int) -> None:
            path = self._opened[descriptor]
            if path.resolve() == self.folder:
                self.note("sync folder")
            elif name := self.name_in_folder(path):
                self.note("write", name, 0, path.read_bytes().hex())
                self.note("sync", name)

        def renamed(_: None, old: Any, new: Any) -> None:
            self.note("rename", self.name_in_folder(old), self.name_in_folder(new))

        def removed(_: None, path: Any, **__: Any) -> None:
            if name := self.name_in_folder(path):
                self.note("remove", name)

        for function, after in (
            ("open", opened),
            ("fsync", synced),
            ("replace", renamed),
            ("unlink", removed),
        ):
            setattr(os, function, _followed_by(getattr(os, function), after))

    def watch_sqlite(self) -> None:
        """Install a VFS that records the operations of SQLite's default VFS."""
        library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))  # None: it is built into the interpreter
        library.sqlite3_vfs_find.restype = POINTER(Vfs)
        default = library.sqlite3_vfs_find(None).contents
        vfs = Vfs.from_buffer_copy(default)

        def open_file(this: int, address: int | None, file: Any, flags: int, told: Any) -> int:
            path = Path(os.fsdecode(ctypes.string_at(address))) if address else None
            is_new = bool(flags & SQLITE_OPEN_CREATE and path and not path.exists())
            code: int = default.open(this, address, file, flags, told)
            name = self.name_in_folder(path) if path else None
            if code == 0 and name is not None:
                if is_new:
                    self.note("create", name)
                is_journal = bool(flags & SQLITE_OPEN_MAIN_JOURNAL)
                file.contents.methods = self._watched(file.contents.methods, name, is_journal)
            return code

        def remove_file(this: int, address: int, is_folder_synced: int) -> int:
            name = self.name_in_folder(ctypes.string_at(address))
            if name is not None and (code := self.ask("remove", name)):
                return code
            done: int = default.remove(this, address, is_folder_synced)
            if name is not None and is_folder_synced:
                self.note("sync folder")
            return done

        vfs.name, vfs.open, vfs.remove = b"recording", OPEN(open_file), REMOVE(remove_file)
        self._kept_alive += [default, vfs]
        _WATCHING.append(self)
        assert library.sqlite3_vfs_register(byref(vfs), 1) == 0

    def _watched(self, address: int, name: str, is_journal: bool) -> int:
        default = Methods.from_address(address)
        methods = Methods.from_buffer_copy(default)
        must_sync_folder = [is_journal]

        def write(file: Any, data: int, n_bytes: int, offset: int) -> int:
            content = ctypes.string_at(data, n_bytes).hex()
            return self.ask("write", name, offset, content) or default.write(file, data, n_bytes, offset)

        def truncate(file: Any, size: int) -> int:
            return self.ask("truncate", name, size) or default.truncate(file, size)

        def sync(file: Any, flags: int) -> int:
            if code := self.ask("sync", name):
                return code
            if must_sync_folder.pop():  # as unixSync does for a new journal
                self.note("sync folder")
            must_sync_folder.append(False)
            done: int = default.sync(file, flags)
            return done

        methods.write, methods.truncate, methods.sync = WRITE(write), TRUNCATE(truncate), SYNC(sync)
        self._kept_alive.append(methods)
        return ctypes.addressof(methods)


def _followed_by(function: Callable[..., Any], after: Callable[..., None]) -> Callable[..., Any]:
    def both(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        after(result, *arguments, **options)
        return result

    return both


def main(action: str, folder: Path, path: Path) -> None:
    recorder = Recorder(folder, path)
    recorder.watch_sqlite()
    recorder.watch_python()
    ACTIONS[action](folder, lambda what: recorder.note("mark", what))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
