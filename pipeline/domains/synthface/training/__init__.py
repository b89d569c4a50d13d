"""Training of all networks of synthface on rendered faces with known truth."""
