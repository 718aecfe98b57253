"""Many trials of one shape trained as one: the same arithmetic as the plain loop's, paid for once."""
