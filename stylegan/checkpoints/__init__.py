"""Other people's checkpoints: read without executing anything in them, and converted once to our format.

Pickles are programs: Python's unpickler runs any code that a file names. This package reads a pickle as a description
of plain data (`machine`, `instructions`, `names`, `inert`). Every size is compared with the bytes in the file before
memory is allocated (`limits`). A file without a StyleGAN2 generator is refused, with the reason.

`reading` detects the format: NVIDIA's pickles (`nvidia`), pickles of the TensorFlow era (`tensorflow`), files of
torch.save (`torchfiles`) with rosinality's names (`rosinality`), or safetensors (`safetensorfiles`). `importing` writes
safetensors and a JSON card, the only format that the pipeline reads.

`mobile` reads MobileStyleGAN out of the files of OpenVINO (`openvino`): XML and numbers, no program.
"""
