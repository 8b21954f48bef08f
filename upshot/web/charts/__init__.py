"""Charts as geometry: pure functions from rows to shapes, which templates draw as SVG attributes."""
