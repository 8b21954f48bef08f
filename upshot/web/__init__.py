"""The status page: one look at what runs, what was scored, and what went wrong."""
