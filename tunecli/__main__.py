"""`python -m tunecli`."""

import sys
from pathlib import Path

# Python looks in the working folder first here, where a file may bear the name of a module that we load.
if not sys.flags.safe_path and Path(sys.path[0]).resolve() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from tunecli.cli import main

if __name__ == "__main__":
    main()
