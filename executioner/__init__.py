"""The command line: arguments in, text out, and the wiring of everything."""

__version__ = "1.0.0"
