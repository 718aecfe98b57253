"""The pruners: which trials to end or to pause early. One module each, and `registry`, which finds them by name."""
