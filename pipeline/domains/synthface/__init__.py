"""The embedded domain: procedural faces with known factors, and the networks trained on them.

factors -> geometry, expression -> skin, features, hair -> camera -> renderer; copula.py and
statistics.json make the factors follow FFHQ.
"""
