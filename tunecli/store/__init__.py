"""The record of a study: the event log, the run folder and the lock. Only this package uses SQL."""
