"""A language model's trainer: argparse, flags without a value, a path to save to, one line an epoch."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--model", choices=["LSTM", "GRU", "Transformer"], default="LSTM")
parser.add_argument("--lr", type=float, default=20.0)
parser.add_argument("--nhid", type=int, default=200)
parser.add_argument("--tied", action="store_true")
parser.add_argument("--save", default="model.pt")
args = parser.parse_args()
for epoch in (1, 2):
    loss = 5.0 / epoch + abs(args.lr - 1.0) + 0.1 * args.tied + 1.0 / args.nhid
    print("-" * 89)
    print(f"| end of epoch {epoch:3d} | time:  0.10s | valid loss {loss:5.2f} | valid ppl {2**loss:8.2f}")
