"""A GAN's trainer: a line a step, many steps an epoch, pictures into a folder that is named."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0002)
parser.add_argument("--beta1", type=float, default=0.5)
parser.add_argument("--outf", default=".")
parser.add_argument("--niter", type=int, default=2)
args = parser.parse_args()
for epoch in range(args.niter):
    for step in range(50):
        loss = 1.0 + args.lr + args.beta1 / (1 + 50 * epoch + step)
        print(f"[{epoch}/{args.niter}][{step}/50] Loss_D: {loss:.4f} Loss_G: {2 * loss:.4f} D(x): 0.5")
    Path(args.outf, f"fake_{epoch}.txt").write_text("a picture")
