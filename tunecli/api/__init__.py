"""The public Python interface: run a sweep, continue it, read a study, and load a trained model.

`tunecli/__init__.py` exports its names. The verbs `search` and `resume` run their sweeps through it.
"""
