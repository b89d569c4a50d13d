"""Training of a scorer on labelled pictures; everything here imports torch."""
