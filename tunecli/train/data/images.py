"""Folders of images: a sub-folder for each class, every image brought to one size, in [0, 1].

Each image is read as a viewer shows it: turned as its EXIF orientation says, and over white where it is transparent.
Nothing outside the folder is opened, whatever its links say. Pillow is imported only when images are read. Loads no
torch.

Axes: N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Images
from tunecli.errors import DataError
from tunecli.train.data.notes import DataNote
from tunecli.train.data.table import Table
from tunecli.train.machine import require_memory

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
}
"""What is read, by a file's ending, and Pillow's name for it: nothing else is decoded, whatever a file holds."""

_ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
_TO_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's name of the operation that brings an image of an orientation upright (EXIF 2.32, section 4.6.4)."""

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on a broken file."""

_DEEP = (
    "I",
    "F",
)  # Pillow's modes of more than 8 bits a channel begin with these; it would cut them off at 255


def read_images(
    folder: Path, knob: Images, parameter: str = "data.source", known: Table | None = None
) -> Table:
    """Read a folder of images.

    Args:
        folder: its sub-folders' names are the classes, in alphabetical order.
        knob: size and channels; an image of another size is stretched, bilinearly.
        parameter: the key to blame.
        known: the training table, whose classes a validation or test folder must follow; it may have fewer.

    Raises:
        DataError: Pillow is not installed; there are no two classes, or an unknown one; a class is empty; a file
            cannot be decoded, is too large, or lies outside the folder; or all together do not fit into memory.
    """
    pillow = _pillow(parameter)
    names = sorted(path.name for path in _inside(folder, folder, parameter) if path.is_dir())
    if known is None and len(names) < 2:
        message = f"{folder.name} has {len(names)} sub-folders, and each class is one"
        raise DataError(message, hint="at least two are needed", parameter=parameter)
    class_names = known.class_names if known else tuple(names)
    number_of = {name: number for number, name in enumerate(class_names)}
    unknown = next((name for name in names if name not in number_of), None)
    if unknown is not None:
        raise DataError(f"class `{unknown}` is not in the training data", parameter=parameter)
    pictures: list[Path] = []
    classes: list[int] = []
    n_others = 0
    for name in names:
        files = [path for path in _inside(folder / name, folder, parameter) if path.is_file()]
        found = [path for path in files if path.suffix.lower() in FORMATS]
        n_others += len(files) - len(found)
        if not found:
            message = f"{folder.name}/{name} holds no image, and each sub-folder is a class"
            raise DataError(message, hint=_without_images(folder / name), parameter=parameter)
        pictures += found
        classes += [number_of[name]] * len(found)
    if not pictures:
        raise DataError(f"{folder.name} holds no images", parameter=parameter)
    notes = []
    if n_others:
        text = f"{n_others} files of {folder.name} are no images, and left out"
        notes.append(DataNote("other_files", text))
    y_N = np.array(classes, dtype=np.int64)
    shape = (len(pictures), *knob.shape)
    n_bytes = math.prod(shape) * np.dtype(np.float32).itemsize
    require_memory(n_bytes, f"{folder.name}: {len(pictures)} images of {knob.shape}", parameter)
    x_NCHW = np.empty(shape, dtype=np.float32)
    for number, path in enumerate(pictures):
        x_NCHW[number] = _decoded(pillow, path, knob, parameter)
    return Table(x_NCHW, y_N, "classification", class_names, data_notes=tuple(notes))


def _without_images(folder: Path) -> str:
    """What to do about a sub-folder that holds no image: it may be a part (train, test) that holds the classes."""
    with suppress(OSError):
        deeper = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if any(path.suffix.lower() in FORMATS for inner in deeper for path in inner.iterdir()):
            return f"its own sub-folders hold images: name {folder.name} as the source where they are the classes"
    kinds = ", ".join(ending[1:] for ending in FORMATS)
    return f"put images there ({kinds} are read), or remove that folder"


def _pillow(parameter: str) -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        hint = "pip install 'tunecli[images]'"
        raise DataError("images need Pillow to be read", hint=hint, parameter=parameter) from error
    return Image


def _inside(folder: Path, root: Path, parameter: str) -> list[Path]:
    """What a folder holds, in order, without what is hidden; a link that leads out of ``root`` is refused."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        targets = [path.resolve() for path in found]
        inner = root.resolve()
    except (OSError, RuntimeError) as error:  # the latter is how a link to itself is told
        raise DataError(f"{folder.name} cannot be read: {error}", parameter=parameter) from error
    for path, target in zip(found, targets, strict=True):
        if not target.is_relative_to(inner):
            message = f"{folder.name}/{path.name} leads out of {root.name}"
            raise DataError(message, hint="copy what it points to", parameter=parameter)
    return found


def _decoded(pillow: ModuleType, path: Path, knob: Images, parameter: str) -> NDArray[np.float32]:
    """One image, (C, H, W) in [0, 1]; the first frame of several."""
    _, rows, columns = knob.shape
    shown = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=sorted(set(FORMATS.values()))) as image:
                if image.mode.startswith(_DEEP):
                    message = f"{shown} has more than 8 bits a channel"
                    raise DataError(message, hint="save it with 8", parameter=parameter)
                exact = _as_shown(pillow, image, "RGB" if knob.mode == "rgb" else "L")
                sized = exact.resize((columns, rows), pillow.Resampling.BILINEAR)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        hint = f"save it with fewer pixels, at most {pillow.MAX_IMAGE_PIXELS}"
        raise DataError(f"{shown} is too large to be decoded", hint=hint, parameter=parameter) from error
    except _BROKEN as error:
        raise DataError(f"{shown} cannot be read as an image: {error}", parameter=parameter) from error
    pixels = np.asarray(sized, dtype=np.float32) / np.float32(255.0)
    return pixels[None] if knob.mode == "gray" else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _as_shown(pillow: ModuleType, image: Any, mode: str) -> Any:
    """An image in Pillow's ``mode``, without the colours that its transparent pixels hide, and upright."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        over_white = pillow.new("RGBA", layer.size, "white")
        over_white.alpha_composite(layer)
        exact = over_white.convert(mode)
    else:
        exact = image.convert(mode)
    try:
        orientation = image.getexif().get(_ORIENTATION)  # after the pixels: a PNG may hold it behind them
    except _BROKEN:  # the pixels are whole, and a viewer shows them as they lie
        orientation = None
    operation = _TO_UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return exact if operation is None else exact.transpose(pillow.Transpose[operation])


def read_folder(source: Images, data: Data, base_path: Path) -> Table:
    """The table of a source that is a folder of images."""
    return read_images(base_path / source.path, source)
