"""The option for a seed is found in a program's source, without running it."""

import pytest

from tunecli.importers.program_seed import passes_seed, seed_argument

COMMAND = ("python", "train.py", "{args}")


@pytest.mark.parametrize(
    ("source", "argument"),
    [
        ("p.add_argument('--seed', type=int, default=1)", "--seed={seed}"),
        ("p.add_argument('-s', '--random_seed', type=int)", "--random_seed={seed}"),
        ("if True:\n    parser.add_argument(\n        '--manualSeed', type=int)", "--manualSeed={seed}"),
        ("@click.option('--random-seed')\ndef main(random_seed): ...", "--random-seed={seed}"),
        ("def main(seed: int = typer.Option(0, '--seed')): ...", "--seed={seed}"),
        ("@option('--seed')\ndef main(seed): ...", "--seed={seed}"),
        ("p.add_argument('--seeds', nargs='*')", ""),
        ("p.add_argument('--lr')  # --seed", ""),
        ("print('--seed')", ""),
        ("(lambda x: x)('--seed')", ""),
        ("def broken(:", ""),
        ("raise SystemExit('it runs')", ""),
    ],
)
def test_the_argument_follows_from_the_options_of_the_source(source, argument, tmp_path):
    (tmp_path / "train.py").write_text(source)
    assert seed_argument(COMMAND, tmp_path) == (argument, "train.py" if argument else "")


@pytest.mark.parametrize(
    "command", [("./train.sh",), ("python", "missing.py"), ("python", "-m", "train"), ({"if": 1},), ()]
)
def test_a_program_whose_source_is_not_there_has_no_argument(command, tmp_path):
    assert seed_argument(command, tmp_path) == ("", "")


def test_a_folder_with_the_name_of_a_program_is_no_program(tmp_path):
    (tmp_path / "train.py").mkdir()
    assert seed_argument(COMMAND, tmp_path) == ("", "")


@pytest.mark.parametrize(
    ("command", "parameters", "is_passed"),
    [
        (("python", "train.py", "--seed={seed}"), (), True),
        (COMMAND, ("lr", "seed"), True),
        (COMMAND, ("train.random_seed",), True),
        (COMMAND, ("lr", "seeds", "seedling"), False),
    ],
)
def test_a_seed_that_is_passed_already_needs_no_note(command, parameters, is_passed):
    assert passes_seed(command, parameters) is is_passed
