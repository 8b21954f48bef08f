"""Metrics out of a process: measured where they arise, exported here,
read again by the doctor and the page.
"""
