"""The site: the course, the exercises, the pages of this folder, and a reference made from the docstrings."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import site_pages
from sphinx.addnodes import pending_xref

import numpy_resnet

project = "numpy_resnet"
author = "The numpy_resnet authors"
project_copyright = author
version = release = numpy_resnet.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx-mathjax-offline"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["tutorials/table.md", "exercises/table.md", "explorer"]
nb_execution_mode = "off"  # tools/notebooks.py has run them
nb_number_source_lines = False
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "alphabetical"  # a backward stands under its forward
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True

html_theme = "furo"
html_title = "numpy_resnet"
html_static_path = ["_static"]
html_extra_path = ["explorer"]  # a page that is complete in itself
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}
html_show_sphinx = False
html_copy_source = False


PAGES_OF = {f"{page.upper()}.md": page for page in ("architecture", "contributing", "decisions")}
PAGES_OF |= {"benchmarks/README.md": "benchmarks", "tutorials": "course"}
FULL = 88  # of 120 columns: the next word did not fit any more


def plain_text(app, what, name, obj, options, lines):
    """Our docstrings are plain text, line by line; only `names` are marked. A full line goes on in the next one."""
    joined = []
    for line in lines:
        if joined and len(joined[-1]) > FULL and line[:1].strip():
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    lines[:] = [_as_rst(line) for line in joined]


def _as_rst(line):
    if not line.strip():
        return ""
    parts = re.split(r"(`[^`]+`)", line)
    return "| " + "".join(f"`{part}`" if part[:1] == "`" else re.sub(r"([\\*_`|])", r"\\\1", part) for part in parts)


def skip_fields(app, what, name, obj, skip, options):
    """The fields of a NamedTuple are told by its signature."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def short_defaults(app, what, name, obj, options, signature, return_annotation):
    """ops=numpy_resnet.ops, not where its file lies on this machine."""
    if signature:
        return re.sub(r"<(?:module|class) '([\w.]+)'[^>]*>", r"\1", signature), return_annotation
    return None


def repository_links(app, doctree):
    """Links to a file of the repository that is a page here lead to the page; those to a folder become text."""
    for node in list(doctree.findall(pending_xref)):
        target = node["reftarget"].removeprefix("../")
        if page := PAGES_OF.get(target):
            node["refdomain"], node["reftarget"], node["reftargetid"] = "doc", page, None
        elif node["reftype"] == "myst" and node["refdomain"] != "doc" and target and (ROOT / target).is_dir():
            node.replace_self(node.children)


def setup(app):
    app.connect("config-inited", lambda app, config: site_pages.gather(Path(app.srcdir)))
    app.connect("autodoc-process-docstring", plain_text)
    app.connect("autodoc-process-signature", short_defaults)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("doctree-read", repository_links)
