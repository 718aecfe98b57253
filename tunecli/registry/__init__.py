"""The registries of samplers, pruners and engines: names, implementations, settings and capabilities.

The rest of the program asks a registry entry for a capability, and never compares names or types.
"""
