"""Domains: a generator with the networks that judge its images."""
