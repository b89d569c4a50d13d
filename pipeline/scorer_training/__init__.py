"""Training of scorers on labelled photographs: reading of labels, split and training (layouts: docs/scorers.md)."""
