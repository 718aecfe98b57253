"""What is settled before a trial is run? How many, how many at a time, where, which together, and each one's job."""
