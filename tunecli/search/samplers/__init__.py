"""The samplers: which point to try next. One module each, and `registry`, which finds them by name."""
