"""Photographs to codes of a domain's generator: align, project, measure."""
