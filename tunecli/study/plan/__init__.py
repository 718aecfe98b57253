"""Decisions that are made once, when a study begins."""
