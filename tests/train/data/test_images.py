"""Folders of images become arrays, and an error names the bad file."""

from __future__ import annotations

import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tunecli.config.schema.sources import Images
from tunecli.errors import DataError
from tunecli.registry.packages import install_command
from tunecli.train.data.images import FORMATS, read_images
from tunecli.train.data.table import Table

RNG = np.random.default_rng(0)


def knob(**others: Any) -> Images:
    return Images.model_validate({"name": "images", "path": "photos/", **others})


def save(folder: Path, name: str, pixels: Any, **options: Any) -> Path:
    path = folder / "photos" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("dog/b.png", "dog/a.png", "cat/x.png"):
        save(tmp_path, name, RNG.integers(0, 256, (6, 4, 3)))
    return tmp_path / "photos"


def read(folder: Path, **others: Any) -> Table:
    return read_images(folder, knob(**others))


def test_each_sub_folder_is_a_class_and_files_are_sorted(photos: Path) -> None:
    table = read(photos, size=[6, 4])
    assert table.class_names == ("cat", "dog")
    assert table.y.tolist() == [0, 1, 1]
    assert table.kind == "image"
    expected = np.asarray(Image.open(photos / "dog" / "a.png"), dtype=np.float32).transpose(2, 0, 1) / 255
    np.testing.assert_array_equal(table.x[1], expected)


def test_images_are_resized_bilinearly(photos: Path) -> None:
    table = read(photos, size=[3, 8])
    assert table.x.shape == (3, 3, 3, 8)
    resized = Image.open(photos / "cat" / "x.png").resize((8, 3), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(table.x[0], np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / 255)
    assert read(photos).x.shape == (3, 3, 32, 32)


def test_gray_has_one_channel_of_luma(tmp_path: Path) -> None:
    save(tmp_path, "a/x.png", np.full((2, 2, 3), [255, 0, 0]))
    save(tmp_path, "b/x.png", np.full((2, 2), 255))
    table = read(tmp_path / "photos", size=2, mode="gray")
    assert table.x.shape == (2, 1, 2, 2)
    np.testing.assert_allclose(table.x[:, 0, 0, 0], [0.299, 1.0], atol=0.005)  # ITU-R 601


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_read(tmp_path: Path, ending: str) -> None:
    for name in ("a", "b"):
        save(tmp_path, f"{name}/x{ending.upper()}", np.full((8, 8, 3), 128))
    np.testing.assert_allclose(read(tmp_path / "photos", size=4).x, 128 / 255, atol=0.01)


CORNERS = np.array([[0, 80, 160], [200, 220, 240]])
"""An image that differs in every orientation."""
AS_STORED = {  # by EXIF orientation, how the picture lies in the file (EXIF 2.32: which side row 0 and column 0 are)
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.T,
    6: CORNERS.T[::-1],
    7: CORNERS.T[::-1, ::-1],
    8: CORNERS.T[:, ::-1],
}


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", AS_STORED)
def test_image_is_rotated_by_its_exif_orientation(tmp_path: Path, ending: str, orientation: int) -> None:
    stored = np.kron(AS_STORED[orientation], np.ones((16, 16)))  # whole blocks, which JPEG keeps
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    for mode in ("gray", "rgb"):
        for name in "ab":
            save(tmp_path, f"{name}/x.{ending}", stored, exif=exif, **options)
        found = read(tmp_path / "photos", size=[32, 48], mode=mode).x[0, 0]
        np.testing.assert_allclose(found[8::16, 8::16] * 255, CORNERS, atol=2)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x09", b"MM", b""])
def test_image_with_damaged_exif_is_not_rotated(tmp_path: Path, exif: bytes) -> None:
    pixels = RNG.integers(0, 256, (4, 4, 3))
    for name in "ab":
        save(tmp_path, f"{name}/x.png", pixels)
        path = tmp_path / "photos" / name / "x.png"
        whole = path.read_bytes()
        path.write_bytes(whole[:33] + chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + whole[33:])
    x = read(tmp_path / "photos", size=4).x[0]
    np.testing.assert_array_equal(x, pixels.astype(np.float32).transpose(2, 0, 1) / 255)


@pytest.mark.parametrize("value", [0, 9, 65535, 1])
def test_undefined_exif_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    for name in "ab":
        save(tmp_path, f"{name}/x.png", CORNERS, exif=exif)
    np.testing.assert_allclose(read(tmp_path / "photos", size=[2, 3]).x[0, 0] * 255, CORNERS, atol=1e-4)


HIDDEN = [[(255, 0, 0, 0), (0, 255, 0, 255)]]  # transparent red, opaque green


def transparent(mode: str) -> Image.Image:
    """Two pixels, of which the first is transparent and the second is not, as Pillow's modes have it."""
    image = Image.fromarray(np.array(HIDDEN, dtype=np.uint8))
    match mode:
        case "RGBA":
            return image
        case "LA":
            return image.convert("LA")
        case "P":  # which pixels show is a colour of the palette
            found = image.convert("RGB").quantize(2)
            found.info["transparency"] = found.getpixel((0, 0))
            return found
        case "P alpha":  # which pixels show is a byte for each colour of the palette
            found = image.convert("RGB").quantize(2)
            found.info["transparency"] = bytes([0, 255] if found.getpixel((0, 0)) == 0 else [255, 0])
            return found
        case "RGB":
            found = image.convert("RGB")
            found.info["transparency"] = (255, 0, 0)
            return found
        case "L":
            found = image.convert("L")
            found.info["transparency"] = found.getpixel((0, 0))
            return found
    found = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    found.info["transparency"] = 0
    return found


@pytest.mark.parametrize(
    ("mode", "ending"),
    [(mode, "png") for mode in ("RGBA", "LA", "P", "P alpha", "RGB", "L", "1")]
    + [("P", "gif"), ("RGBA", "webp"), ("LA", "webp")],
)
@pytest.mark.parametrize("wanted", ["rgb", "gray"])
def test_transparent_pixels_become_white(tmp_path: Path, mode: str, ending: str, wanted: str) -> None:
    image = transparent(mode)
    options: dict[str, Any] = {"transparency": image.info["transparency"]} if image.info else {}
    if ending == "webp":
        options = {"lossless": True, "exact": True}
    for name in "ab":
        path = tmp_path / "photos" / name / f"x.{ending}"
        path.parent.mkdir(parents=True)
        image.save(path, **options)
    x = read(tmp_path / "photos", size=[1, 2], mode=wanted).x[0]
    np.testing.assert_array_equal(x[:, 0, 0], 1.0)
    if mode != "1":  # there the opaque pixel is white itself
        assert x[0, 0, 1] < 0.7
    if mode in ("RGBA", "RGB", "P", "P alpha") and wanted == "rgb":
        np.testing.assert_allclose(x[:, 0, 1], [0.0, 1.0, 0.0], atol=0.01)


def test_scaled_images_are_noted_and_large_ones_not_as_a_detail(photos: Path) -> None:
    assert read(photos, size=[6, 4]).data_notes == ()
    (note,) = read(photos, size=[3, 2]).data_notes
    assert note.text.startswith("images of 4 × 6 pixels are scaled to 2 × 3; ")
    assert note.is_detail
    (note,) = read(photos, size=1).data_notes
    assert not note.is_detail


def test_half_transparent_pixels_are_blended_with_white_before_resizing(tmp_path: Path) -> None:
    pixels = np.array([[(0, 0, 0, 128), (255, 0, 0, 0)]])
    for name in "ab":
        save(tmp_path, f"{name}/x.png", pixels)
    x = read(tmp_path / "photos", size=1).x[0, :, 0, 0]
    half = 1.0 - 128 / 255
    np.testing.assert_allclose(x, [(half + 1.0) / 2] * 3, atol=0.01)  # and no red


def test_other_files_and_hidden_ones_are_left_out_and_counted(photos: Path) -> None:
    (photos / "dog" / "notes.txt").write_text("x")
    (photos / "dog" / ".hidden.png").write_text("x")
    (photos / ".git").mkdir()
    (photos / "README").write_text("x")
    table = read(photos)
    assert len(table.y) == 3
    assert table.notes == ("1 file of photos is not an image and is left out",)


def test_validation_folder_uses_the_training_classes(photos: Path, tmp_path: Path) -> None:
    known = read(photos)
    save(tmp_path / "v", "dog/a.png", np.zeros((2, 2, 3)))
    assert read_images(tmp_path / "v" / "photos", knob(), "data.validation", known.schema).y.tolist() == [1]
    save(tmp_path / "v", "fox/a.png", np.zeros((2, 2, 3)))
    with pytest.raises(
        DataError, match="class `fox`, a sub-folder of photos, is not in the training data"
    ) as caught:
        read_images(tmp_path / "v" / "photos", knob(), "data.validation", known.schema)
    assert caught.value.parameter == "data.validation"


def test_link_out_of_the_folder_is_refused_and_one_inside_is_followed(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "y.png").symlink_to(photos / "dog" / "a.png")
    assert read(photos).class_counts == (2, 2)
    outside = save(tmp_path / "other", "a.png", np.zeros((2, 2, 3)))
    (photos / "cat" / "z.png").symlink_to(outside)
    with pytest.raises(DataError, match=r"cat/z\.png is a link that leads out of photos"):
        read(photos)


def test_a_class_that_is_a_link_out_of_the_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    (photos / "fox").symlink_to(tmp_path)
    with pytest.raises(DataError, match="photos/fox is a link that leads out of photos"):
        read(photos)


def test_a_link_to_itself_is_refused(photos: Path) -> None:
    (photos / "cat" / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError, match="cat cannot be read"):
        read(photos)


def test_truncated_file_is_reported_by_name(photos: Path) -> None:
    path = photos / "cat" / "x.png"
    whole = path.read_bytes()
    for n_bytes in range(0, len(whole) // 2, 5):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match=r"cat/x\.png cannot be read as an image"):
            read(photos)


@pytest.mark.parametrize("ending", FORMATS)
def test_damaged_image_is_read_or_raises_data_error(tmp_path: Path, ending: str) -> None:
    save(tmp_path, "a/x.png", np.zeros((4, 4, 3)))
    path = save(tmp_path, f"b/x{ending}", RNG.integers(0, 256, (9, 9, 3)))
    whole = bytearray(path.read_bytes())
    for _ in range(60):
        damaged = whole.copy()
        for place in RNG.integers(0, len(whole), 3):
            damaged[place] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert read(tmp_path / "photos", size=4).x.shape == (2, 3, 4, 4)
        except DataError as error:
            assert f"b/x{ending}" in error.message


def test_content_and_not_the_ending_selects_the_decoder(photos: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(photos / "cat" / "x.png", format="TIFF")
    with pytest.raises(DataError, match=r"cat/x\.png cannot be read as an image"):
        read(photos)


def test_image_larger_than_memory_is_not_decoded(photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match=r"cat/x\.png has too many pixels"):
        read(photos)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG file that claims any size."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + b"".join(chunks) + pixels + chunk(b"IEND", b"")


ZEROS = zlib.compress(b"\0" * 50_000_000)
BOMBS = {
    "a.png": png(40_000, 40_000),
    "b.png": png(2**31 - 1, 1),
    "text.png": png(4, 4, chunk(b"zTXt", b"k\0\0" + ZEROS)),
    "profile.png": png(4, 4, chunk(b"iCCP", b"k\0\0" + ZEROS)),
    "a.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0\2\2\x44\1\0;",
    "a.bmp": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bomb_is_reported_by_name(photos: Path, name: str) -> None:
    (photos / "cat" / name).write_bytes(BOMBS[name])
    tracemalloc.start()
    with pytest.raises(DataError, match=f"cat/{name} (has too many pixels|cannot be read as an image)"):
        read(photos)
    _, n_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_bytes < 20_000_000


def test_images_larger_than_memory_are_not_decoded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 1000 kB\n")
    monkeypatch.setattr("tunecli.train.main_memory._MEMINFO", tmp_path / "meminfo")
    with pytest.raises(DataError, match=r"photos: 3 images of \(3, 1024, 1024\) takes 36\.0 MiB of memory"):
        read(photos, size=1024)


def test_more_than_8_bits_per_channel_are_refused(photos: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(photos / "cat" / "x.png")
    with pytest.raises(DataError, match=r"cat/x\.png has more than 8 bits"):
        read(photos)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "0 sub-folders"),
        (["cat"], "1 sub-folder;"),
        (["cat", "dog"], "photos/cat holds no image"),
    ],
)
def test_a_folder_without_classes_or_images_is_refused(
    tmp_path: Path, folders: list[str], message: str
) -> None:
    (tmp_path / "photos").mkdir()
    for name in folders:
        (tmp_path / "photos" / name).mkdir()
    with pytest.raises(DataError, match=message):
        read(tmp_path / "photos")


def test_folder_of_parts_gets_a_hint(photos: Path) -> None:
    save(photos.parent, "train/cat/a.png", np.zeros((4, 4)))
    with pytest.raises(DataError, match="photos/train holds no image") as caught:
        read(photos)
    assert "if they are the classes, use train as the source" in caught.value.hint


def test_empty_sub_folder_gets_a_hint(photos: Path) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(
        DataError, match="photos/empty holds no image, but each sub-folder is a class"
    ) as caught:
        read(photos)
    assert "or remove the folder" in caught.value.hint


def test_missing_pillow_names_the_extra(photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="needs Pillow") as caught:
        read(photos)
    assert caught.value.hint == install_command("pillow", "images")
