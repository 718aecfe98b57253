"""Samplers, pruners and engines: the name of each, how it is imported, and what it can do.

The rest of the program asks an entry of these registries for a capability, and never compares names or types.
"""
