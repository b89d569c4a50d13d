"""Edits on the grid over calibrated ranges, and their scores: l2l-2022, locality-1, llf-2026."""
