"""Ranges of strengths in which faces are still found: the rule, and the stage."""
