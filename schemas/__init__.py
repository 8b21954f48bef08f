"""The contract: every event as a pydantic model, its examples, and the ClickHouse migrations.

Imports nothing else of Upshot, so that any program may depend on it alone.
"""
