"""A file per repository that is compared with: `SUBJECT` says its checkout and comparisons."""
