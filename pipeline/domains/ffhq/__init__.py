"""The ffhq domain: published networks, from files that are fetched, imported or trained once (docs/howto/ffhq.md).

files.py      the file of each role and its state on this machine
domain.py     the domain's card and its networks
stand_ins.py  files with the same shapes and meaningless numbers, for trying the program
"""
