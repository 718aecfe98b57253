"""The meaning of the recorded trials: ranking, the table, importance, failures, the exported file, and views."""
