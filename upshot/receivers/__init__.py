"""Receivers of alerts: their settings, the requests made for them, and a guard on the addresses called."""
