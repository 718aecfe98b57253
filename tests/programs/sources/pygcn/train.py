"""A graph network's trainer: it imports a package beside its folder, and reads its data from there."""

import argparse

from pygcn.layers import loss_of

parser = argparse.ArgumentParser()
parser.add_argument("--no-cuda", action="store_true")
parser.add_argument("--fastmode", action="store_true")
parser.add_argument("--hidden", type=int, default=16)
args = parser.parse_args()
assert args.no_cuda
with open("../data/cora.content") as file:  # noqa: PTH123  (the program's habit)
    n_nodes = len(file.readlines())
for epoch in range(2):
    print(
        f"Epoch: {epoch + 1:04d} loss_train: 1.9 acc_train: 0.2 loss_val: {loss_of(args.hidden) / (epoch + 1):.4f}"
    )
print(f"Test set results: loss= {loss_of(args.hidden) / n_nodes:.4f} accuracy= 0.8")
