"""Execution of shards on workers: Dask clusters, GPUs, threads, faults and measured times."""
