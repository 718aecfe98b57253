"""Runs the user's code: found beside the configuration file, seeded by name, and isolated from everything else."""
