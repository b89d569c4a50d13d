"""Scorers of the domain photoface, trained on generated faces (docs/explanation/photoface-labels.md)."""
