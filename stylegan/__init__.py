"""StyleGAN2: latents to images.

This package knows nothing of faces, attributes or editing. `generator` joins the networks of `mapping` and
`synthesis`. `layers` holds the reference implementation of their layers, `fused` the fast one. `weights` reads and
writes our file format; `checkpoints` reads other people's files. `mobile` is a small student of StyleGAN2.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020. Parameter names, resampling and
initialisation agree with NVIDIA's stylegan2-ada-pytorch, so its state dicts load unchanged. No code is copied from it.
"""
