"""Runs one trial: the loops, and their data, models, losses, optimizers, chains, metrics and devices."""
