"""Which point to try next, and which trial to stop or continue: pure functions of the record."""
