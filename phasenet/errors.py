"""The one exception for what a user can mend: a bad file, value or flag."""

_MOST_CHARACTERS = 390
_HEAD, _TAIL = 260, 120


class InputError(ValueError):
    """A user's mistake, said in one line: what is wrong, where (file, line, value), what would be right.

    What a file holds may stand in it: the line stays one, and short, whatever that is (`one_line`).
    """

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


def one_line(message: object) -> str:
    """A message without line ends and what does not print (a file could steer the terminal), its middle left out
    where it is long."""
    line = " ".join(str(message).split())
    if len(line) > _MOST_CHARACTERS:
        line = f"{line[:_HEAD]} ... {line[-_TAIL:]}"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
