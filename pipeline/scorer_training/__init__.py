"""Training of scorers on labelled photographs: labels, split, training (layouts: docs/howto/own-labels.md)."""
