"""The generated reference pages: what the code declares, as text for people. Written and checked, never edited."""
