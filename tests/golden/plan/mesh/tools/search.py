from seawall import tool


@tool(retry="safe")
def search(query: str) -> list[str]:
    """Search the web."""
    return [query]
