"""The registry of experiments in a process: its topic followed, its records as definitions for assignment."""
