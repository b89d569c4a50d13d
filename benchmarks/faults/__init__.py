"""Faults, done for real to a small run: processes that are killed, disks that fill, files that are damaged."""
