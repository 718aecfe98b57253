"""Training many trials of one shape as one: the arithmetic of the plain loop, with its overhead paid once."""
