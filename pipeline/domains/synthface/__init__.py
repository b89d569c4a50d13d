"""The embedded domain: procedural faces with known factors, and the networks trained on them.

factors -> geometry, expression -> skin, features, hair -> camera -> renderer. copula.py and statistics.json give the
factors FFHQ's distribution.
"""
