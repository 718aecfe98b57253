"""Make the data of the five example jobs: four pairs of tables, and two folders of images.

    python configs/data/make_examples.py [FOLDER]     # the folder of this script by default

Each job has the rows to learn from, and `…_new`: rows that the study never reads. The same script makes the same files.
"""

from __future__ import annotations

import csv
import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

Row = list[str]
FAULTS = ("bearing", "belt", "seal", "sensor")
SIGNS = ("circle", "cross", "square", "triangle")


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def write(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# 1. Passengers of a ship: a table as people type it.

PASSENGER = (
    "ticket",
    "booked",
    "cabin_class",
    "sex",
    "age",
    "family",
    "fare",
    "baggage_kg",
    "port",
    "lifeboat",
    "rescued",
)
PORTS = ("Southampton", "Cherbourg", "Queenstown", "Lisbon", "Bremen", "Le Havre", "Cork", "Vigo")


def passenger(number: int, rng: Generator) -> Row:
    level = int(rng.choice(3, p=[0.22, 0.25, 0.53]))  # 0 is the first class
    woman = rng.random() < 0.4
    age = float(np.clip(rng.gamma(6, 5.5), 1, 80))
    family = int(rng.poisson(0.8))
    fare = float(np.exp(rng.normal((7.1, 5.6, 4.4)[level], 0.35)))
    port = int(rng.choice(len(PORTS), p=[0.3, 0.2, 0.12, 0.1, 0.1, 0.08, 0.06, 0.04]))
    booked = datetime.date(1912, 1, 5) + datetime.timedelta(days=int(rng.integers(0, 90)))
    # Women and children first, but less so in the third class: an interaction that no linear model has.
    first = woman or age < 13
    chance = (2.9, 2.2, 0.3)[level] if first else (-0.6, -1.9, -2.0)[level]
    chance += -0.5 * max(family - 2, 0) + (0.7, 0.5, 0, 0, -0.4, 0, -0.6, 0)[port] - 0.012 * (age - 30)
    rescued = rng.random() < sigmoid(1.3 * chance)
    lifeboat = str(rng.integers(1, 17)) if rescued and rng.random() < 0.95 else ""
    return [
        f"T{number:05d}",
        booked.strftime("%d.%m.%Y"),
        ("first", "second", "third")[level],
        "female" if woman else "male",
        ("unknown", "?", "n/a")[int(rng.integers(3))] if rng.random() < 0.18 else f"{age:.0f}",
        str(family),
        "" if rng.random() < 0.03 else f"£{fare:,.2f}",
        f"{max(0, rng.normal(45 - 12 * level, 9)):.1f}",
        "" if rng.random() < 0.04 else PORTS[port],
        lifeboat,
        "yes" if rescued else "no",
    ]


def passengers(folder: Path, rng: Generator) -> None:
    rows = [passenger(number, rng) for number in range(1, 1301)]
    write(folder / "passengers.csv", PASSENGER, rows[:900])
    write(folder / "passengers_new.csv", PASSENGER, rows[900:])


# 2. Traffic signs: a folder of small images with one sub-folder for each class.


def sign(kind: str, rng: Generator, side: int = 24) -> np.ndarray:
    """One image (side, side, 3) of bytes: a filled shape, turned and shifted, in poor light."""
    y, x = (np.mgrid[:side, :side] - (side - 1) / 2) / (side / 2)
    turn = np.deg2rad(rng.uniform(-25, 25))
    x, y = x - rng.uniform(-0.2, 0.2), y - rng.uniform(-0.2, 0.2)
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    size = rng.uniform(0.45, 0.7)
    inside = {
        "circle": np.hypot(x, y) < size,
        "cross": (np.minimum(abs(x), abs(y)) < size / 2.5) & (np.maximum(abs(x), abs(y)) < size),
        "square": np.maximum(abs(x), abs(y)) < 0.88 * size,
        "triangle": (y < 0.7 * size) & (y > 1.9 * abs(x) - size),
    }[kind]
    is_red = kind in ("cross", "triangle")
    paint = np.array((0.75, 0.15, 0.1) if is_red else (0.1, 0.2, 0.7)) + rng.normal(0, 0.08, 3)
    ground = rng.uniform(0.5, 1.0) + rng.normal(0, 0.05, 3)
    light = rng.uniform(0.5, 1.2)
    image = np.where(inside[..., None], paint, ground) * light + rng.normal(0, 0.05, (side, side, 3))
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)


def signs(folder: Path, rng: Generator) -> None:
    from PIL import Image

    for name, n_images in (("signs", 80), ("signs_new", 50)):
        for kind in SIGNS:
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
            for number in range(n_images):
                Image.fromarray(sign(kind, rng)).save(folder / name / kind / f"{number:03d}.png")


# 3. Reviews: texts by words, with two columns beside them.

REVIEW = ("number", "department", "price", "review", "recommends")
GOOD = ("sturdy", "quick", "quiet", "comfortable", "reliable", "well made", "bright", "easy to clean")
BAD = ("flimsy", "slow", "noisy", "painful", "unreliable", "badly made", "dim", "hard to clean")
THINGS = {
    "kitchen": ("kettle", "pan", "toaster"),
    "garden": ("hose", "chair", "lamp"),
    "office": ("desk", "printer", "stool"),
}
OPENINGS = (
    "Bought this {thing} last month.",
    "We use the {thing} every day.",
    "The {thing} came in two days.",
    "My second {thing}.",
)
CLOSINGS = (
    "Shipping was fine.",
    "The box was dented.",
    "For {price} pounds, well.",
    "Colour as in the picture.",
    "My wife chose it.",
)
CLAIMS = (
    "It is {word}.",
    "It is {degree} {word}.",
    "I find it {word}.",
    "So {word}!",
    "My friends say it's {word}.",
)
DENIALS = (
    "It is not {word}.",
    "It isn't {word} at all.",
    "I would never call it {word}.",
    "Nobody finds it {word}.",
)


def review(number: int, rng: Generator) -> Row:
    def one(of: Sequence[str]) -> str:
        return of[int(rng.integers(len(of)))]

    department = one(tuple(THINGS))
    thing, price = one(THINGS[department]), float(np.exp(rng.normal(3.4, 0.6)))
    n_claims = int(rng.integers(2, 5))
    claims, opinion = [], 0.0
    content = rng.random() < 0.52
    for _ in range(n_claims):
        is_denied = rng.random() < 0.2
        is_good = (rng.random() < (0.85 if content else 0.15)) != is_denied
        word = one(GOOD if is_good else BAD)
        claims.append(
            one(DENIALS if is_denied else CLAIMS).format(word=word, degree=one(("very", "quite", "really")))
        )
        opinion += 1 if is_good != is_denied else -1
    said = [one(OPENINGS).format(thing=thing), *claims, one(CLOSINGS).format(price=round(price))]
    # A cheap thing is recommended more easily: the text alone does not say all.
    recommends = rng.random() < sigmoid(1.5 * opinion - 2 * (np.log(price) - 3.4))
    return [str(number), department, f"{price:.2f}", " ".join(said), "yes" if recommends else "no"]


def reviews(folder: Path, rng: Generator) -> None:
    rows = [review(number, rng) for number in range(1, 1101)]
    write(folder / "reviews.csv", REVIEW, rows[:800])
    write(folder / "reviews_new.csv", REVIEW, rows[800:])


# 4. Sales of two shops by day: a series.

SALE = ("day", "shop", "temperature_c", "is_holiday", "sold")


def shop_sales(shop: str, n_days: int, rng: Generator) -> list[Row]:
    rows, wave, warmth = [], 0.0, 0.0
    level, week = {
        "harbour": (180, (0, -8, -4, 2, 30, 55, 40)),
        "station": (260, (20, 24, 22, 18, 30, -60, -80)),
    }[shop]
    for number in range(n_days):
        day = datetime.date(2022, 1, 1) + datetime.timedelta(days=number)
        warmth = 0.8 * warmth + float(rng.normal(0, 2))
        temperature = 11 - 9 * np.cos(2 * np.pi * number / 365.25) + warmth
        wave = 0.85 * wave + float(rng.normal(0, 9))  # what is more or less today is so tomorrow too
        is_holiday = rng.random() < 0.03
        sold = level + week[day.weekday()] + 1.8 * (temperature - 11) + wave - 50 * is_holiday
        rows.append(
            [day.isoformat(), shop, f"{temperature:.1f}", str(int(is_holiday)), f"{max(sold, 0):.0f}"]
        )
    return rows


def sales(folder: Path, rng: Generator) -> None:
    of_shops = [shop_sales(shop, 800, rng) for shop in ("harbour", "station")]
    write(folder / "sales.csv", SALE, [row for rows in of_shops for row in rows[:640]])
    write(folder / "sales_new.csv", SALE, [row for rows in of_shops for row in rows[640:]])


# 5. Faults of pumps: any number of them at once.

PUMP = ("pump", "model", "hours", "temperature_c", "vibration_mm_s", "pressure_bar", "current_a", "faults")


def pump(number: int, rng: Generator) -> Row:
    model = int(rng.integers(3))
    hours = float(rng.gamma(2, 2500))
    worn = hours / 5000
    chances = (
        0.9 * worn - 2.6,
        0.7 * worn - 2.9 + 0.8 * (model == 1),
        0.8 * worn - 2.2,
        -2.4 + 1.2 * (model == 2),
    )
    bearing, belt, seal, sensor = (bool(rng.random() < sigmoid(chance)) for chance in chances)
    temperature = 55 + 9 * bearing + 3 * belt + rng.normal(0, 4)
    vibration = np.exp(0.6 + 0.55 * bearing + 0.35 * belt + rng.normal(0, 0.25))
    pressure = 6 - 1.1 * seal + rng.normal(0, 0.45)
    current = (14, 17, 21)[model] + 1.6 * bearing - 2.2 * belt + rng.normal(0, 0.9)
    if sensor:  # a broken sensor shows too much or too little: no straight line finds it
        pressure += float(rng.choice([-1, 1])) * rng.uniform(1.5, 3)
    faults = "|".join(
        name for name, is_there in zip(FAULTS, (bearing, belt, seal, sensor), strict=True) if is_there
    )
    measured = (f"{hours:.0f}", f"{temperature:.1f}", f"{vibration:.2f}", f"{pressure:.2f}", f"{current:.1f}")
    return [f"P{number:04d}", f"K{model + 1}00", *measured, faults]


def pumps(folder: Path, rng: Generator) -> None:
    rows = [pump(number, rng) for number in range(1, 1301)]
    write(folder / "pumps.csv", PUMP, rows[:900])
    write(folder / "pumps_new.csv", PUMP, rows[900:])


MAKERS: tuple[Callable[[Path, Generator], None], ...] = (passengers, signs, reviews, sales, pumps)


def main(folder: Path, makers: Sequence[Callable[[Path, Generator], None]] = MAKERS) -> None:
    """Write the files of these jobs; those of one do not depend on which others are made."""
    for maker in makers:
        maker(folder, np.random.default_rng([7, MAKERS.index(maker)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
