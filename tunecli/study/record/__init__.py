"""A study in its run folder: begin, resume, change, fork and publish."""
