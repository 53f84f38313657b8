"""A tool with a helper beside it and a package of its own."""

import six
from words import count

from seawall import tool


@tool
def measure(text: str) -> str:
    """How many words a text has."""
    return f"{count(six.ensure_str(text))} words"
