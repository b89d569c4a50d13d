"""Edits at matched change, their search and their scores: matched-change-1."""
