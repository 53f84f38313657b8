"""AI agents in containers they cannot climb out of."""
