"""Run the golden studies, and print a hash of the table and of the bits of every epoch's metrics of each.

``--save FILE`` writes the hashes, ``--compare FILE`` exits 1 if a hash differs from that in FILE, and ``--record``
records them for this machine. The bits depend on the processor and on torch, so compare two versions of tunecli on one
machine.
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
    options = parser.parse_args()
    known = json.loads(options.compare.read_text()) if options.compare else {}
    hashes, n_different = {}, 0
    with tempfile.TemporaryDirectory() as place:
        for name in options.only:
            hashes[name] = hash_of(name, STUDIES[name], Path(place) / name)
            is_different = bool(known) and known.get(name) != hashes[name]
            n_different += is_different
            print(f"{name:<20} {hashes[name]}{'  differs' if is_different else ''}", flush=True)
    if options.save:
        options.save.write_text(json.dumps(hashes, indent=2) + "\n")
    if options.record:
        record(hashes)
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
