"""The configuration: YAML → the study's settings and the search space under `trial`."""
