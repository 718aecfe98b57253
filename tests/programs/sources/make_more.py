"""A name maker: an option that only one architecture knows, and a device that torch must know."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--type", choices=["transformer", "rnn"])
parser.add_argument("--n-head", type=int)
parser.add_argument("--device")
parser.add_argument("--seed", type=int)
args = parser.parse_args()
assert args.device == "cpu", args.device
assert (args.n_head is None) == (args.type == "rnn"), args
print(f"step 500 train loss: 2.1 test loss: {2.2 - (args.n_head or 0) / 10}")
