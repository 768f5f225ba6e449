"""The one exception for what a user can mend: a bad file, value or flag."""


class InputError(ValueError):
    """A user's mistake, said in one line: what is wrong, where (file, line, value), what would be right."""
