"""Metrics of workers: each declared once, and the instruments measuring them."""
