"""`InputError`, the one exception for what a user can mend: a bad file, value or flag.

`phasenet` and `saxsae` raise `InputError`; the launches print its message as one line and end.
"""

# A message longer than `_MAX_CHARACTERS` keeps its first `_NUM_FIRST` and its last `_NUM_LAST` characters.
_MAX_CHARACTERS = 390
_NUM_FIRST, _NUM_LAST = 260, 120


class InputError(ValueError):
    """A user's mistake, in one line: what is wrong, where (file, line, value), and what is expected.

    The message may quote what a file holds: `one_line` makes it one short line that is safe to print.
    """

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


def one_line(message: object) -> str:
    """Returns a message as one line of at most 390 characters; a longer one loses its middle.

    Unprintable characters become U+FFFD, because control characters quoted from a file could control the terminal.
    """
    line = " ".join(str(message).split())
    if len(line) > _MAX_CHARACTERS:
        line = f"{line[:_NUM_FIRST]} ... {line[-_NUM_LAST:]}"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
