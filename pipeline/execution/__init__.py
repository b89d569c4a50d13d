"""Shards on workers: Dask clusters, GPUs, threads, faults, measured rates."""
