"""Frameworks and their instrumentations, run against a model server whose truth is known, each in a process of its own."""
