"""Edits one after another, at once, and undone: consistency-1."""
