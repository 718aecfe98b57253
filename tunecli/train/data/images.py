"""Folders of images: a sub-folder for each class; every image is resized, with values in [0, 1].

Each image is read as a viewer shows it: rotated by its EXIF orientation, and on white where it is transparent. No file
outside the folder is opened, even through links. Pillow is imported only when images are read. Loads no torch.

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
from tunecli.registry.packages import install_command
from tunecli.text import counted
from tunecli.train.data.notes import DataNote
from tunecli.train.data.table import RowRoles, Table, TableSchema
from tunecli.train.main_memory import require_memory

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
}
"""By a file's ending, Pillow's name of the format. No other format is decoded, regardless of a file's content."""

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
"""By EXIF orientation, Pillow's name of the operation that turns the image upright (EXIF 2.32, section 4.6.4)."""

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
"""The errors that Pillow raises on a broken file."""

_DEEP = (
    "I",
    "F",
)  # Pillow's modes of more than 8 bits a channel begin with these; it would cut them off at 255


def read_folder(source: Images, data: Data, base_path: Path) -> Table:
    """The table of a source that is a folder of images; see `read_images`."""
    return read_images(base_path / source.path, source)


def read_images(
    folder: Path,
    knob: Images,
    parameter: str = "data.source",
    known: TableSchema | None = None,
    *,
    needs_target: bool = True,
) -> Table:
    """Read a folder of images.

    Args:
        folder: the folder; the names of its sub-folders, in alphabetical order, are the classes.
        knob: size and channels; images of another size are stretched bilinearly.
        parameter: the configuration key that errors name.
        known: for a validation or test folder, the schema of the training table: the folder may only have its classes.
        needs_target: False for images to predict, which come with ``known``: the folder may hold images itself, and its
            sub-folders need not be classes. `Table.has_target` says whether they are.

    Returns:
        A table with x (N, C, H, W) float32 in [0, 1]. `RowRoles.id` has the files' names within the folder.

    Raises:
        DataError: Pillow is not installed; there are fewer than two classes, an unknown class, or a class without
            images; a file cannot be decoded, is too large, or is a link that leads out of the folder; or the images do
            not fit into memory.
    """
    pillow = _pillow(parameter)
    names = sorted(path.name for path in _inside(folder, folder, parameter) if path.is_dir())
    if known is None and len(names) < 2:
        message = (
            f"{folder.name} has {len(names)} sub-folder{'' if len(names) == 1 else 's'}; each class needs one"
        )
        raise DataError(message, hint="make at least two, one for each class", parameter=parameter)
    class_names = known.class_names if known else tuple(names)
    number_of = {name: number for number, name in enumerate(class_names)}
    unknown = next((name for name in names if name not in number_of), None)
    has_target = needs_target or (bool(names) and unknown is None)
    if unknown is not None and needs_target:
        message = f"class `{unknown}`, a sub-folder of {folder.name}, is not in the training data"
        raise DataError(message, hint="rename it, or remove it", parameter=parameter)
    pictures: list[Path] = []
    classes: list[int] = []
    n_others = 0
    if not needs_target:
        files = [path for path in _inside(folder, folder, parameter) if path.is_file()]
        pictures = [path for path in files if path.suffix.lower() in FORMATS]
        n_others, has_target = len(files) - len(pictures), has_target and not pictures
        classes = [0] * len(pictures)
    for name in names:
        files = [path for path in _inside(folder / name, folder, parameter) if path.is_file()]
        in_class = [path for path in files if path.suffix.lower() in FORMATS]
        n_others += len(files) - len(in_class)
        if not in_class and needs_target:
            message = f"{folder.name}/{name} holds no image, but each sub-folder is a class"
            raise DataError(message, hint=_hint_without_images(folder / name), parameter=parameter)
        pictures += in_class
        classes += [number_of.get(name, 0)] * len(in_class)
    if not pictures:
        raise DataError(f"{folder.name} holds no images", parameter=parameter)
    notes = []
    if n_others:
        verb = "is not an image and is" if n_others == 1 else "are not images and are"
        text = f"{counted(n_others, 'file')} of {folder.name} {verb} left out"
        notes.append(DataNote("other_files", text))
    y_N = np.array(classes, dtype=np.int64)
    shape = (len(pictures), *knob.shape)
    n_bytes = math.prod(shape) * np.dtype(np.float32).itemsize
    require_memory(n_bytes, f"{folder.name}: {len(pictures)} images of {knob.shape}", parameter)
    x_NCHW = np.empty(shape, dtype=np.float32)
    sides: list[tuple[int, int]] = []
    for number, path in enumerate(pictures):
        x_NCHW[number], size = _decoded(pillow, path, knob, parameter)
        sides.append(size)
    if known is None:
        notes += _scaling_notes(sides, knob)
    ids = np.array([str(path.relative_to(folder)) for path in pictures], dtype=object)
    return Table(
        x_NCHW,
        y_N if has_target else np.zeros_like(y_N),
        "classification",
        class_names,
        data_notes=tuple(notes),
        roles=RowRoles(id=ids),
        has_target=has_target,
    )


def _hint_without_images(folder: Path) -> str:
    """Advice about a sub-folder without images: it may be a part (train, test) that holds the classes itself."""
    with suppress(OSError):
        deeper = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if any(path.suffix.lower() in FORMATS for inner in deeper for path in inner.iterdir()):
            return (
                f"its own sub-folders hold images: if they are the classes, use {folder.name} as the source"
            )
    kinds = ", ".join(ending[1:] for ending in FORMATS)
    return f"put images there (formats: {kinds}), or remove the folder"


def _pillow(parameter: str) -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        hint = install_command("pillow", "images")
        raise DataError("reading images needs Pillow", hint=hint, parameter=parameter) from error
    return Image


def _inside(folder: Path, root: Path, parameter: str) -> list[Path]:
    """The files and folders in a folder, sorted, without hidden ones.

    Raises:
        DataError: the folder cannot be read, or a link leads out of ``root``.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        targets = [path.resolve() for path in paths]
        inner = root.resolve()
    except (OSError, RuntimeError) as error:  # a link to itself raises RuntimeError
        raise DataError(f"{folder.name} cannot be read: {error}", parameter=parameter) from error
    for path, target in zip(paths, targets, strict=True):
        if not target.is_relative_to(inner):
            message = f"{folder.name}/{path.name} is a link that leads out of {root.name}"
            raise DataError(message, hint="replace the link by a copy of its target", parameter=parameter)
    return paths


def _scaling_notes(sides: list[tuple[int, int]], knob: Images) -> list[DataNote]:
    """A note if images are scaled. It is a detail unless most images lose more than half of their width."""
    _, rows, columns = knob.shape
    if all(side == (columns, rows) for side in sides):
        return []
    widths = sorted(width for width, _ in sides)
    smallest, largest = ("{} × {}".format(*side) for side in (min(sides), max(sides)))
    which = smallest if smallest == largest else f"{smallest} to {largest}"
    text = f"images of {which} pixels are scaled to {columns} × {rows}; `size` sets another size: "
    text += "`data.source: {name: images, path: …, size: 64}`"
    return [DataNote("scaled", text, is_detail=widths[len(widths) // 2] <= 2 * columns)]


def _decoded(
    pillow: ModuleType, path: Path, knob: Images, parameter: str
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """One image, (C, H, W) in [0, 1], and its width and height; the first frame if there are several."""
    _, rows, columns = knob.shape
    shown = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=sorted(set(FORMATS.values()))) as image:
                if image.mode.startswith(_DEEP):
                    message = f"{shown} has more than 8 bits per channel"
                    raise DataError(message, hint="save it with 8 bits per channel", parameter=parameter)
                exact = _as_shown(pillow, image, "RGB" if knob.mode == "rgb" else "L")
                sized = exact.resize((columns, rows), pillow.Resampling.BILINEAR)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        hint = f"save it with at most {pillow.MAX_IMAGE_PIXELS} pixels"
        raise DataError(f"{shown} has too many pixels", hint=hint, parameter=parameter) from error
    except _BROKEN as error:
        raise DataError(f"{shown} cannot be read as an image: {error}", parameter=parameter) from error
    pixels = np.asarray(sized, dtype=np.float32) / np.float32(255.0)
    x_CHW = pixels[None] if knob.mode == "gray" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return x_CHW, exact.size


def _as_shown(pillow: ModuleType, image: Any, mode: str) -> Any:
    """An image in Pillow's ``mode``, on a white background and upright."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        over_white = pillow.new("RGBA", layer.size, "white")
        over_white.alpha_composite(layer)
        exact = over_white.convert(mode)
    else:
        exact = image.convert(mode)
    try:
        orientation = image.getexif().get(_ORIENTATION)  # after the pixels: a PNG may store it after them
    except _BROKEN:  # the pixels are complete, and a viewer shows them without a rotation
        orientation = None
    operation = _TO_UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return exact if operation is None else exact.transpose(pillow.Transpose[operation])
