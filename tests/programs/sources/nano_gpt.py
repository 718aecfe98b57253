"""A GPT's trainer: arguments replace globals of the script and must have their type; `--x=True` is a boolean."""

import sys
from ast import literal_eval

learning_rate = 6e-4
n_layer = 12
compile = True  # noqa: A001  (the name that the program gives it)
out_dir = "out"
for argument in sys.argv[1:]:
    key, value = argument.removeprefix("--").split("=")
    if key not in globals():
        raise ValueError(f"Unknown config key: {key}")
    try:
        attempt = literal_eval(value)
    except (SyntaxError, ValueError):
        attempt = value
    assert type(attempt) is type(globals()[key]), (key, value)
    globals()[key] = attempt
for step in (0, 250):
    loss = 4.0 - step / 250 + learning_rate + n_layer / 100 + compile
    print(f"step {step}: train loss {loss:.4f}, val loss {loss + 0.1:.4f}")
    print(f"iter {step}: loss {loss:.4f}, time 10.00ms, mfu 1.00%")
