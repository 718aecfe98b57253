"""`wandb.config`: the script's defaults, with the trial's parameters in place of the values of the same name.

As in a sweep of W&B, a parameter of the trial is locked: an update of it is ignored, with a line on stderr.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

from ._errors import ConfigError, Error

if TYPE_CHECKING:
    from collections.abc import Iterator


class Config:
    """A map whose keys are attributes, too."""

    def __init__(self, defaults: dict[str, Any], locked: dict[str, Any]) -> None:
        """``locked`` are the trial's parameters."""
        self.__dict__["_items"] = {**defaults, **locked}
        self.__dict__["_locked"] = frozenset(locked)

    def update(self, d: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:
        """Set several keys. A key that has another value already needs ``allow_val_change=True``."""
        for key, value in {**as_dict(d), **more}.items():
            self._set(key, value, is_allowed=bool(allow_val_change))

    def setdefaults(self, d: Any) -> None:
        """Set the keys that have no value yet."""
        for key, value in as_dict(d).items():
            self._items.setdefault(key, value)

    def as_dict(self) -> dict[str, Any]:
        """The config as a plain dict."""
        return dict(self._items)

    def get(self, key: str, default: Any = None) -> Any:
        """The value at a key, or the default."""
        return self._items.get(key, default)

    def keys(self) -> Any:
        """The keys."""
        return self._items.keys()

    def values(self) -> Any:
        """The values."""
        return self._items.values()

    def items(self) -> Any:
        """Pairs of key and value."""
        return self._items.items()

    def persist(self) -> None:
        """Do nothing."""

    def _set(self, key: str, value: Any, *, is_allowed: bool) -> None:
        if key in self._locked:
            if self._items[key] != value:
                print(  # noqa: T201  # as W&B does
                    f"wandb: config item `{key}` is a parameter of the trial: the update to {value!r} is ignored",
                    file=sys.stderr,
                )
            return
        if not is_allowed and key in self._items and self._items[key] != value:
            raise ConfigError(
                f"config item `{key}` is {self._items[key]!r}; use allow_val_change=True to set it to {value!r}"
            )
        self._items[key] = value

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value, is_allowed=True)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_items"][name]
        except KeyError:
            raise AttributeError(
                f"the config has no key `{name}`: neither wandb.init(config=…) nor the trial's parameters have it"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._set(name, value, is_allowed=True)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


class Unstarted:
    """`wandb.config` and `wandb.summary` before `wandb.init`: every use is refused."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Error(f"call wandb.init() before you use wandb.{self.__dict__['_name']}")

    __getitem__ = __setitem__ = __setattr__ = __contains__ = __iter__ = __len__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python itself asks for these, for example to copy a module
            raise AttributeError(name)
        self._refuse()


def as_dict(values: Any) -> dict[str, Any]:
    """A map, a config, an argparse namespace or another object with attributes as a dict."""
    if values is None:
        return {}
    if isinstance(values, Config):
        return values.as_dict()
    if isinstance(values, str):
        raise Error("a config in a file is not read: pass a dict")
    if hasattr(values, "keys"):
        return {str(key): values[key] for key in values.keys()}  # noqa: SIM118  # not every map can be iterated
    try:
        return dict(vars(values))
    except TypeError:
        return {str(key): value for key, value in values}
