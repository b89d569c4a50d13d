"""The face networks of the npm package @vladmandic/face-api 1.7.15 (MIT), rebuilt in torch.

layers.py      what they share: input in [-1, 1], separable convolutions, files
xception.py    age and sex: a small Xception
dense.py       emotions and 68 landmarks: a small network with dense blocks
resnet.py      the recognizer: dlib's ResNet

The package's own networks come from face-api.js (V. Mühler); architectures are facts of its sources, src/. All take
images (N, 3, H, H) in [-1, 1] that show the part of the face which the network was trained on
(`pipeline.networks.crops`); they are resized to the network's input size. The package resizes bilinearly without
antialiasing; here antialiasing is on, because our faces come from 1024 px.
"""
