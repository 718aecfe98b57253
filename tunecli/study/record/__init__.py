"""What is on record? A study in its folder: begun, gone on with, changed, forked, and published for people."""
