"""The samplers, which suggest the point of a trial. `bayes` is built from the modules of `tunecli.search.bo`."""
