"""How does the user's own code run? Found beside their file, seeded by name, and kept from touching anything else."""
