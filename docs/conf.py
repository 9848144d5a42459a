"""Sphinx: how the documentation site is built (`make docs`)."""

import importlib.metadata

project = "benchmark"
release = version = importlib.metadata.version("benchmark-models")

extensions = ["myst_parser", "sphinx_click"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"benchmark {release}"
html_show_copyright = False
