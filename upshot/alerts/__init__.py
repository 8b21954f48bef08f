"""Rules of alerts, pure: whether a score or a window fires, under which identity, with which words."""
