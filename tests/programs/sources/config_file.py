"""A program with one argument: the file with its settings. It writes its result into a file at its end."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
config = json.loads(Path(parser.parse_args().config).read_text())
Path("results.json").write_text(json.dumps({"eval": {"rmse": config["lr"] + len(config["layers"])}, "n": 3}))
