"""Questions: named SQL and its readers."""
