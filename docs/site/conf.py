"""Sphinx's settings of the documentation site. `make docs` builds it from the root of the repository.

The source folder is the root, so a link that works in the repository works on the site, also to a source file.
"""

import logging

logging.getLogger("luigi-interface").setLevel(logging.WARNING)  # at INFO Luigi says which files it has read

project = "Latentbench"
copyright = "the authors of Latentbench, Apache License 2.0"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "outputs/README.md", "reference/README.md"]
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "outputs/[!R]*",
    "tests",
    "benchmarks",
    "stylegan",
    "pipeline",
    "tasks",
    "latentbench",
]
extensions = ["myst_parser", *(f"docs.site.{name}" for name in ("contents", "generated", "links", "mathml"))]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "Latentbench"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = ["root"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
