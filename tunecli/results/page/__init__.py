"""The report as one self-contained HTML page: its frame, its figures, its style and its script."""
