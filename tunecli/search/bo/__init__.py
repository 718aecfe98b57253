"""The parts of the Bayesian optimiser: encoding, surrogate, posterior, acquisition function and its optimizer."""
