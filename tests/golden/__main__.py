"""Runs the golden studies and prints a hash of each one's table and of the bits of every epoch's metrics.

``--save FILE`` writes the hashes, ``--compare FILE`` exits 1 where one differs from those in FILE, and ``--record`` puts
them on record for this machine. The bits depend on the processor and on torch, so two versions of tunecli are compared
on one machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.golden.hashes import hash_of, record
from tests.golden.studies import STUDIES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(STUDIES))
    parser.add_argument("--save", type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--compare", type=Path)
    asked = parser.parse_args()
    known = json.loads(asked.compare.read_text()) if asked.compare else {}
    hashes, n_different = {}, 0
    with tempfile.TemporaryDirectory() as place:
        for name in asked.only:
            hashes[name] = hash_of(name, STUDIES[name], Path(place) / name)
            is_different = bool(known) and known.get(name) != hashes[name]
            n_different += is_different
            print(f"{name:<20} {hashes[name]}{'  differs' if is_different else ''}", flush=True)
    if asked.save:
        asked.save.write_text(json.dumps(hashes, indent=2) + "\n")
    if asked.record:
        record(hashes)
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
