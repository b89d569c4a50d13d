"""Ablations of a method: the table, its page, its publication."""
