"""Other tools' sweep files as studies: one module a tool, and a registry of kinds. Runs nothing and prints nothing."""
