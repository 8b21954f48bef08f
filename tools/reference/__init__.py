"""The generated reference pages: the code's declarations for people. Written and checked, never edited."""
