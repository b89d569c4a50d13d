"""What a run hands to its readers: published tables, a page, a summary, queries and comparisons."""
