"""Fills in the templates of `launch.pages` and of `launch.serving`."""

import re
from collections.abc import Mapping


def fill_template(template: str, parts: Mapping[str, str]) -> str:
    """Returns the template with each {{name}} replaced by parts[name].

    The template is read once, so text that looks like {{name}} within a part stays as it is.

    Args:
      template: text with names in double braces.
      parts: a text for each of these names; further names are ignored.

    Raises:
      KeyError: a name of the template is not among the parts.
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)
