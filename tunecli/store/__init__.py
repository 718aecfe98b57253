"""What happened? The event log, the run folder, the lock; the only room that knows SQL."""
