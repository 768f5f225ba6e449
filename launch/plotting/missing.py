"""The error of a figure whose input was not given."""


class MissingInput(Exception):
    """A figure cannot be drawn because an input was not given; the message names the flag that gives it."""
