"""A script for W&B: its configuration and its metrics go through `wandb` alone."""

import wandb

run = wandb.init(project="mnist", config={"lr": 0.1, "hidden": 16, "epochs": 2})
config = wandb.config
for epoch in range(config.epochs):
    wandb.log(
        {"epoch": epoch, "val/loss": config.lr + 1 / config["hidden"] + 1 / (1 + epoch), "note": "fine"}
    )
wandb.finish()
