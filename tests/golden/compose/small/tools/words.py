"""Beside the tool."""


def count(text: str) -> int:
    """Words."""
    return len(text.split())
