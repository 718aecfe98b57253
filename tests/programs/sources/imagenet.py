"""An image trainer: a positional folder, short options, and a checkpoint in the working folder that it goes on from."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("data", metavar="DIR")
parser.add_argument("-a", "--arch", default="resnet18")
parser.add_argument("-b", "--batch-size", type=int, default=256)
parser.add_argument("--lr", "--learning-rate", dest="lr", type=float, default=0.1)
args = parser.parse_args()
assert (Path(args.data) / "labels.txt").read_text() == "cat dog\n"
checkpoint = Path("checkpoint.pth.tar")
assert not checkpoint.exists(), "another trial's checkpoint lies here"
for epoch in range(2):
    top1 = 50 + epoch - abs(args.lr - 0.1) - args.batch_size / 1000
    print(f"Epoch: [{epoch}][ 0/10]\tTime  0.1\tLoss 6.9e+00 (6.9e+00)\tAcc@1   0.00 (  0.00)")
    print(f" *   Acc@1 {top1:.3f} Acc@5 {top1 + 9:.3f}")
    checkpoint.write_text(json.dumps({"epoch": epoch, "arch": args.arch}))
