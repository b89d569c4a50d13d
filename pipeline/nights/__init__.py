"""Nightly runs: what each left behind, how it compares with the nights before, and who is informed."""
