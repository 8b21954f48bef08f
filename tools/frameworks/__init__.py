"""Frameworks and their instrumentations, each in its own process, run against a server with known counts."""
