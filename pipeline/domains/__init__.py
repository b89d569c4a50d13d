"""Domains: a generator together with the networks that judge its images."""
