"""`import tunecli` is quick: it loads next to nothing. Only the engine `ray` loads Ray, whatever is installed."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "pydantic",
    "numpy",
    "scipy",
    "sklearn",
    "skopt",
    "pandas",
    "pyarrow",
    "rich",
    "typer",
    "yaml",
    "sqlite3",
    "ray",
)


def test_import_tunecli_loads_no_package_and_few_modules():
    program = (
        "import sys; before = {*sys.modules}; import tunecli; new = {*sys.modules} - before\n"
        f"print(len(new), sorted(new & {{*{HEAVY}}}))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    n_modules, heavy = shown.split(maxsplit=1)
    assert heavy.strip() == "[]"
    assert int(n_modules) <= 40


STUDY = """\
study: small
objective: {metric: loss}
trial: {python: "own:train", params: {x: {uniform: [0.0, 1.0]}}}
search: {sampler: bayes, trials: 6}
run: {engine: local, workers: 2, device: cpu}
"""


def test_no_process_of_a_check_or_a_local_search_imports_ray(tmp_path: Path) -> None:
    """A package `ray` that leaves a mark stands in for the real one, in workers as well."""
    mark, packages = tmp_path / "mark", tmp_path / "packages"
    (packages / "ray").mkdir(parents=True)
    (packages / "ray" / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    (tmp_path / "own.py").write_text(
        "import sys\n\ndef train(params, trial):\n"
        "    assert 'ray' not in sys.modules\n    trial.report(1, loss=params['x'])\n"
    )
    (tmp_path / "study.yaml").write_text(STUDY)
    environment = {**os.environ, "PYTHONPATH": str(packages)}

    def run(*words: str) -> None:
        subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, check=True, capture_output=True
        )

    for words in (["check"], ["search", "--dry-run"], ["search"]):
        run("-m", "tunecli", words[0], "study.yaml", *words[1:])
    results = (tmp_path / "runs" / "small" / "results.csv").read_text()
    assert results.count("complete") == 6, results
    assert not mark.exists()
    run("-c", "import ray")
    assert mark.exists(), "the stand-in is found"
