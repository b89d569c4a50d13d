"""Editing methods, one file each; `base.py` holds the contract, `registry.py` the names."""
