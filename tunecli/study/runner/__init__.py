"""What keeps a sweep going? What a worker gets next, what follows from each event, and how that is written."""
