"""What did the user ask for? YAML → the study's settings and the space found under `trial`."""
