"""The examination: is everything there, does it work, and what to do about failures."""
