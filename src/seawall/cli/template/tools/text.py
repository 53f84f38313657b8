"""What the agents can do with texts. Change a function and it takes effect at the next question."""

from seawall import tool


@tool(retry="safe")  # it changes nothing, so it may be repeated when an outcome is unknown
def measure(text: str) -> dict[str, int]:
    """Count the words and characters of a text.

    Args:
        text: What to measure.
    """
    return {"words": len(text.split()), "characters": len(text)}
