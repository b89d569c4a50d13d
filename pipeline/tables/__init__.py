"""The columns of every table, and the one reader and writer of Parquet."""
