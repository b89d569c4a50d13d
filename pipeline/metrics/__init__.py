"""Metrics, one in a file: each scores the measured edits of one method."""
