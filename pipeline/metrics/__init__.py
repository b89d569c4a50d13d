"""Metrics: one in a file, over the measured edits of one method."""
