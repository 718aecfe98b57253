"""The parts of the Bayesian optimiser: encoding, surrogate, posterior, acquisition and its optimiser."""
