"""The structure of the package: its layers, its words, and the size of its files."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "tunecli").rglob("*.py"))


def test_imports_point_down_and_siblings_never_import_each_other():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_a_module_has_a_docstring_and_at_most_400_lines():
    for path in MODULES:
        text = path.read_text()
        assert text.startswith(('"""', "'''")), path
        assert len(text.splitlines()) <= 400, path
        assert not {"utils", "helpers", "common", "manager"} & set(path.stem.split("_")), path


def test_the_longest_test_files_exist():
    text = (ROOT / "tests" / "conftest.py").read_text()
    named = re.findall(r'"(tests/\S+\.py)"', text)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


SHORT = {
    "console/overrides.py": "the options that set keys of the file, which three modules of verbs share",
    "engine/cluster/agenda.py": "when actions are due, of which the crew says what they do",
    "engine/cluster/lease.py": "the rule that no late message breaks, with a clock that a test sets",
    "engine/ray/liveness.py": "both ends of the bridge use it, and it knows nothing of Ray",
    "cli/predicting.py": "each kind of verb is one module",
    "__main__.py": "loads next to nothing before a signal can end the process in one line",
    "commands/schema.py": "each command is one module",
    "config/schema/series.py": "the settings of one key of the data",
    "config/paths.py": "used by config, store and train",
    "commands/starters.py": "the templates of `init` and their files",
    "config/objective_alone.py": "`list` loads it without the rest of config",
    "config/earlier_defaults.py": "the one place of the defaults of studies that began under earlier ones",
    "config/search_hints.py": "the hints for one section of the file, beside `hints`, which is long",
    "config/range_words.py": "the words of ranges, which six modules share",
    "registry/packages.py": "the one place of the commands that install a missing package",
    "study/runner/notices.py": "a sweep and a confirmation tell them alike",
    "study/record/user_files.py": "the files of other machines, of which the facts have the hashes only",
    "results/page/classes_section.py": "each section of the page is one module",
    "results/page/script.py": "joins the parts of the page's script",
    "search/bo/memo.py": "the one state that the pure functions of search keep",
    "search/samplers/random.py": "each sampler is one module",
    "shims/wandb_path/wandb/_errors.py": "a module of the package that scripts import",
    "tfrecords.py": "the format that train reads and exporters write",
    "seeding.py": "the one place where seeds are made",
    "study/record/versions.py": "a study's plug-ins, which engines do not know",
}


def test_a_module_of_under_60_lines_has_a_reason():
    short = {
        str(path.relative_to(ROOT / "tunecli"))
        for path in MODULES
        if path.name != "__init__.py" and len(path.read_text().splitlines()) < 60
    }
    assert short == set(SHORT)
