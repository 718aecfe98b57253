"""A Hydra app: overrides without dashes, a group that is chosen by name, and logging on stderr."""

import logging
import sys

logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
config = dict(override.split("=", 1) for override in sys.argv[1:])
assert set(config) == {"optimizer.lr", "model.depth", "augment"}, config
assert config["augment"] in ("true", "false")
for epoch in range(2):
    logging.getLogger("train").info(
        "epoch %d val_loss: %.4f", epoch, float(config["optimizer.lr"]) + 1 / (epoch + 1)
    )
