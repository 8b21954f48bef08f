"""Rows of the web page: one module for each page, no column of payloads in any list."""
