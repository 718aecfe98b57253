"""Where good values of a model's settings usually lie, as distributions, before a study has any result."""
