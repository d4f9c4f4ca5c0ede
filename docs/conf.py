"""How Sphinx builds these pages: `make docs`. Nothing is asked of the network, and a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import l2zoo  # noqa: E402

project = "l2zoo"
author = "The l2zoo authors"
version = release = l2zoo.__version__
project_copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_copybutton",
    "command_line",
    "markdown_tables",
    "model_cards",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext"]

# Docstrings write code in single backticks, as Markdown does.
default_role = "code"
smartquotes = False  # they would change `--option` in plain text
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # Keras's are in Keras's reference
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "inherited-members": False}
maximum_signature_line_length = 80
add_module_names = False
python_use_unqualified_type_names = True

myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"l2zoo {version}"
html_show_sourcelink = False
html_copy_source = False
