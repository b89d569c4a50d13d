"""Scorers of the domain photoface, trained on generated faces (docs/photoface-labels.md)."""
