"""Sphinx: how the documentation site is built (`make docs`)."""

import importlib.metadata
import inspect
import re

import pydantic
from sphinx.application import Sphinx

import benchmark
import benchmark.trial

project = "benchmark"
release = version = importlib.metadata.version("benchmark-models")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

# A name is written as a plugin's author writes it, without the module behind it.
add_module_names = False
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "model_config"}
python_maximum_signature_line_length = 120

html_theme = "furo"
html_title = f"benchmark {release}"
html_show_copyright = False


def load_the_public_names() -> None:
    """Load them before autodoc does so as a type checker would, with which pydantic fails."""
    for face in (benchmark, benchmark.trial):
        for name in face.__all__:
            getattr(face, name)


# A run makes these, and nobody else.
MADE_BY_RUNS = (benchmark.Run, benchmark.RunTable)


def tidy_signature(app, what, name, documented, options, signature, returns):
    """Say a class that is a default by its name; leave out what says nothing.

    A record's fields stand below it, and would stand twice; a protocol is not called.
    """
    if inspect.isclass(documented) and (
        issubclass(documented, (pydantic.BaseModel, *MADE_BY_RUNS))
        or getattr(documented, "_is_protocol", False)
    ):
        return "", None
    return signature and re.sub(r"<class '[\w.]*\.(\w+)'>", r"\1", signature), returns


def setup(app: Sphinx) -> None:
    load_the_public_names()
    app.connect("autodoc-process-signature", tidy_signature)
