"""What a figure says when it was not given what it shows."""


class Missing(Exception):
    """A figure cannot be drawn for lack of input; the message tells which flag brings it."""
