"""Scorers of photographs: labelled faces read, split and trained on. docs/scorers.md tells the layouts."""
