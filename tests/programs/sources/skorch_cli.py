"""A fire-like command line, and a coloured table."""

import sys

params = dict(argument.removeprefix("--").split("=") for argument in sys.argv[1:])
assert set(params) == {"module__hidden_units", "lr"}, params
print(
    "  epoch    train_loss    valid_acc    valid_loss     dur\n-------  ------------  -----------  ------------  ------"
)
for epoch in (1, 2):
    loss = float(params["lr"]) + 1.0 / int(params["module__hidden_units"]) + 1.0 / epoch
    print(
        f"      {epoch}        \x1b[36m{loss:.4f}\x1b[0m       \x1b[32m0.9000\x1b[0m        \x1b[35m{loss:.4f}\x1b[0m  0.0100"
    )
