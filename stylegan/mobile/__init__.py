"""MobileStyleGAN: a small student of StyleGAN2, with the same mapping network and the same codes.

Belousov, "MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity Image Synthesis",
arXiv 2104.04767. Images are made as wavelets: every block doubles the resolution by an inverse Haar transform of its
channels, and convolves each channel for itself (depthwise) before channels are mixed (pointwise). Demodulation is a
constant of each layer, already part of its weights.

`generator` has the contract of `stylegan.generator`. `layers` holds the reference implementation, `fused` the fast one.
`stylegan.checkpoints.mobile` reads the published weights.
"""
