"""A folder for Python's path: it holds the package `wandb` that a trial imports, and nothing else."""
