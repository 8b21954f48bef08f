"""Decisions, as pure functions of (state, events, now), and the thin agents that run them."""
