"""organise."""
