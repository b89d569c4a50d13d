"""The photoface domain: photoreal faces at 1024 px, from packages of PyPI and npm (docs/explanation/photoface.md).

files.py      the files of each network and their state on this machine
domain.py     the domain's card and its networks
networks.py   how the networks are read
centres.py    the mean descriptors that centre the recognizers, in centres.json
measuring.py  measures them again
"""
