"""What does it mean? Ranking, the table, the answer a verb gives, the exported file."""
