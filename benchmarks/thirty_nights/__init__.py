"""Thirty nights in one go: faults, a method that changes, a method that drifts, and what the gate makes of them."""
