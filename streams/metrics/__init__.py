"""Metrics of workers: each declared once, and the instruments that measure them."""
