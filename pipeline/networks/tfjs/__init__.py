"""Networks in TensorFlow.js files, rebuilt in torch. Files are read as data; nothing in them is executed.

padding.py     TensorFlow's padding: convolution and pooling
weights.py     a manifest and its .bin: tensors by name
operations.py  the operations that the graphs of @vladmandic/human use, each as a torch module
graph.py       a graph model as a torch module
"""
