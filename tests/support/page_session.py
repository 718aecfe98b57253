"""The process that runs the steps of a page: commands by bash, and all Python of the page in one namespace, as a notebook."""

import json
import linecache
import subprocess
import sys
from pathlib import Path


def main(steps: list[list[str]]) -> None:
    """Run each step, and end at the first one that fails."""
    names = vars(sys.modules["__main__"])
    for where, kind, text in steps:
        print(f"--- {where}", flush=True)
        if kind == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True)
        elif kind == "file":
            path, content = text.split("\n", 1)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(content, encoding="utf-8")
        else:
            linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
            exec(compile(text, where, "exec"), names)


if __name__ == "__main__":
    sys.path[0] = ""  # the folder of the page, as in a notebook
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
