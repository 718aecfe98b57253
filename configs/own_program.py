"""A program of one's own, which own_command.yaml runs: Python's standard library, no torch, no tunecli."""

import argparse
import json
import random


def main() -> None:
    """Find the minimum of Rosenbrock's function by gradient descent with momentum, from a random place."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--momentum", type=float, required=True)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    generator = random.Random(asked.seed)
    x, y = generator.uniform(-1.5, -0.5), generator.uniform(0.5, 1.5)
    speed_x = speed_y = 0.0
    for epoch in range(1, asked.epochs + 1):
        slope_x, slope_y = -2.0 * (1.0 - x) - 400.0 * x * (y - x * x), 200.0 * (y - x * x)
        speed_x = asked.momentum * speed_x - asked.lr * slope_x
        speed_y = asked.momentum * speed_y - asked.lr * slope_y
        x, y = x + speed_x, y + speed_y
        print(json.dumps({"epoch": epoch, "height": (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2}))


if __name__ == "__main__":
    main()
