"""Checkpoints of others, read without executing anything in them and converted once to our format.

Pickles are programs: Python's own reader runs whatever code a file names. Files here are only described
(`machine`, `instructions`, `names`, `inert`), every size is compared with the bytes that are there before
memory is taken (`limits`), and what is no StyleGAN2 generator is refused with the reason.

`reading` tells the formats apart: NVIDIA's pickles (`nvidia`), those of the TensorFlow era (`tensorflow`),
files of torch.save (`torchfiles`) with rosinality's names (`rosinality`), and safetensors. `importing`
writes safetensors and a JSON card, the only thing that the pipeline reads.
"""
