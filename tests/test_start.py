"""`import tunecli` is quick: it loads next to nothing."""

import subprocess
import sys

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
