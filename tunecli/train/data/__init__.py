"""The data of a trial: sources become tables, tables are split and prepared, and their parts become tensors."""
