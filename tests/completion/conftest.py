"""A folder with two studies and two files, in which the tests of this room complete command lines."""

import pytest

from tests.support.recorded import recorded_study

STUDY = """\
study: mine
objective: {metric: val_accuracy}
trial:
  model: {name: mlp, hidden: {list: {of: {int: [4, 8]}, length: 2}}}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
      - {name: adamw, lr: 1e-3}
  learning_rate: [{cosine: {to: 0.0}}]
search: {trials: 4}
"""


@pytest.fixture(scope="session")
def folder_of_studies(tmp_path_factory):
    """``runs/digits`` (four trials), ``runs/my study``, ``old/a:b``; ``mine.yaml``, ``my files/a b.yml``; no study else."""
    folder = tmp_path_factory.mktemp("completion")
    for path in ("runs/digits", "runs/my study", "old/a:b"):
        (folder / path).parent.mkdir(exist_ok=True)
        place = folder / "made"
        place.mkdir()
        written = recorded_study(
            place, [0.5, 0.25, "error", "running"], metrics=lambda epoch, score: {"val_loss": score}
        )
        written.path.rename(folder / path)
        for left in place.iterdir():
            left.unlink() if left.is_file() else None
        for left in [*place.iterdir()]:
            left.rmdir()
        place.rmdir()
    digits = folder / "runs/digits"
    digits.joinpath("results.csv").write_text("rank,trial,status,loss,x,rate\n1,1,complete,0.25,0.1,0.2\n")
    (folder / "runs/empty").mkdir()
    (folder / "mine.yaml").write_text(STUDY)
    (folder / "notes.txt").write_text("")
    (folder / "my files").mkdir()
    (folder / "my files/a b.yml").write_text(STUDY)
    return folder
