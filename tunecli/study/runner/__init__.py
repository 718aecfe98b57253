"""The parts of a running sweep: the next trial, the jobs, the events, and the writer of the record."""
