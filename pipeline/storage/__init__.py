"""Stages on disk: fingerprints, manifests, locks, atomic writes, damage, provenance."""
