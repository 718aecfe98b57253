"""An HF Trainer: underscores, booleans as words, and Python dicts between progress bars on stderr."""

import argparse
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float)
parser.add_argument(
    "--fp16", type=lambda text: {"true": True, "false": False}[text.lower()], nargs="?", const=True
)
parser.add_argument("--target_modules", nargs="+", default=[])
args = parser.parse_args()
assert args.fp16 is not None
for epoch in (1.0, 2.0):
    sys.stderr.write(f"\r 50%|#####     | {epoch}/2 [00:00<00:00]")
    loss = args.learning_rate + 1 / epoch + len(args.target_modules)
    print({"loss": loss, "grad_norm": 1.5, "learning_rate": 5e-5, "epoch": epoch})
    print({"eval_loss": loss, "eval_accuracy": 0.5, "eval_runtime": 0.1, "epoch": epoch})
