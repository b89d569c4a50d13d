"""Inversion of photographs: alignment, projection to codes of a domain's generator, and measures of the result."""
