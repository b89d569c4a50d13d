"""Edits for rate curves and their scores: rates-1."""
