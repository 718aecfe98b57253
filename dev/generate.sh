#!/bin/sh
# Write again what is derived from the program: the table of the shell completion. A test compares each with the program.
set -e
PYTHON=${PYTHON:-.venv/bin/python}
"$PYTHON" -m tunecli.cli.describe
