"""The ffhq domain: official networks, from files that are fetched, imported or trained once (docs/ffhq.md).

files.py      which file each role needs, and what is known of it here
domain.py     the domain's card, and its networks
stand_ins.py  files of the same shapes that mean nothing, to try the machinery
"""
