"""Intervals, differences, ranks, and the units in which changes are counted."""
