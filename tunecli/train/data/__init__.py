"""What does a trial train on? Sources become tables, tables are split and prepared, parts become tensors."""
