"""StyleGAN2: latents to images.

This package knows nothing of faces, attributes or editing. `generator` puts the networks `mapping` and
`synthesis` together, `layers` holds the plain form of what they compute, `fused` the fast forms of the same
functions, `weights` the one file format that they are stored in, and `checkpoints` the files of others.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020. Parameter names,
resampling and initialisation agree with NVIDIA's stylegan2-ada-pytorch, so that its state
dicts load as they are. No code is taken from there.
"""
