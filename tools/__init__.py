"""Programs for working on Upshot, outside the wheel."""
