"""The charts of pages: Vega-Lite specifications made with Altair, drawn in the browser by the library inside the page.

A section returns a `Chart`: a specification whose data have names, and the tables of these names. The page contains
each table once, however many charts read it.
"""
