"""The files that pages of the documentation name and do not show: small ones, of the content that the pages state."""

from __future__ import annotations

import csv
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path
from random import Random

from PIL import Image

from tests.support.page_blocks import ROOT, Block, blocks_of

MINE = '''"""Own parts of a trial."""

import torch


def make_data(samples):
    x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()


class Net(torch.nn.Module):
    def __init__(self, input_shape, n_outputs, depth):
        super().__init__()
        layers = [torch.nn.Linear(input_shape[0], input_shape[0]) for _ in range(depth)]
        self.net = torch.nn.Sequential(*layers, torch.nn.Linear(input_shape[0], n_outputs))

    def forward(self, x):
        return self.net(x)


def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets)


def score(outputs, targets, at):
    return float((outputs.argmax(1) == targets).mean())


class Lion(torch.optim.SGD):
    pass
'''

PEOPLE = """study: people
objective: {metric: val_accuracy}
trial:
  data: {source: people.csv, target: answer}
  model: {name: mlp, width: {int: [4, 16]}}
  training: {epochs: 2}
run: {workers: 1}
"""

PROGRAM = '''"""A training program: it prints a loss that its learning rate determines."""

import sys

words = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
rate = float(words.get("lr") or words.get("optimizer.lr") or 0.01)
for step in range(3):
    print(f"loss={abs(rate - 0.01) + 1 / (step + 1)} episodic_return={step} global_step={step}")
    print(f'{{"val_loss": {abs(rate - 0.01) + 1 / (step + 1)}, "epoch": {step}}}')
'''


def _table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_files(folder: Path) -> None:
    """Write the files into a folder, with ``configs`` as in the repository."""
    draw, day = Random(0), date(2024, 1, 1)
    sizes = [draw.randint(40, 200) for _ in range(120)]
    cities = [draw.choice(["Rome", "Oslo", "Bern"]) for _ in sizes]
    _table(
        folder / "houses.csv",
        [
            {"size": size, "city": city, "price": 1000 * size + draw.randint(0, 9999)}
            for size, city in zip(sizes, cities, strict=True)
        ],
    )
    _table(
        folder / "visits.csv",
        [
            {
                "ticket": f"t{i}", "patient": f"p{i // 2}", "visit": i % 2, "importance": 1 + i % 3,
                "admitted": day + timedelta(days=i), "part": ("train", "train", "validation", "validation", "test", "test")[i % 6],
                "zip": 10000 + i % 5, "smokes": ("yes", "no")[i % 2], "born": f"{1 + i % 28:02}.03.19{40 + i % 50}",
                "age": 20 + i % 60, "outcome": ("well", "ill")[(i // 2) % 2],
            }
            for i in range(240)
        ],
    )  # fmt: skip
    people = [
        {"age": 20 + i % 50, "city": cities[i], "answer": ("yes", "no")[i % 3 == 0]} for i in range(120)
    ]
    _table(folder / "people.csv", people)
    _table(folder / "new.csv", [{"age": row["age"], "city": row["city"]} for row in people[:9]])
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    words = ["good", "bad", "fine", "poor", "great", "awful"]
    _table(
        folder / "reviews.csv",
        [{"review": " ".join(draw.choices(words, k=6)), "stars": 1 + i % 5} for i in range(120)],
    )
    _table(
        folder / "sales.csv",
        [
            {"day": day + timedelta(days=i), "shop": shop, "sold": 20 + i % 7 + draw.randint(0, 5)}
            for shop in ("north", "south")
            for i in range(200)
        ],
    )
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(8):
            Image.effect_noise((16, 16), 50 + i).convert("RGB").save(folder / "photos" / name / f"{i}.png")
    shutil.copy(ROOT / "configs/data/passengers.csv", folder)
    (folder / "data").mkdir()
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    for name in ("train.py", "ppo.py", "secret.py"):
        (folder / name).write_text(PROGRAM, encoding="utf-8")


def write_shown(block: Block, folder: Path) -> None:
    """Write the files that the page of a block shows before it."""
    for shown in blocks_of(block.page):
        if shown.file is not None and shown.line < block.line:
            write_block(shown, folder)


def write_block(block: Block, folder: Path) -> None:
    """Write a block that is a file."""
    assert block.file is not None
    path = folder / block.file
    assert path.resolve().is_relative_to(folder.resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
