"""What to try next? Pure functions from the record to a point, and nothing loaded before it is needed."""
