"""The one line of a user's mistake, whatever a file had in it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError, one_line


@given(st.text(max_size=1000))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_message_is_one_short_line_that_prints(text):
    message = str(InputError(f"a.dat: {text}"))
    assert message.startswith("a.dat:") and len(message) < 400 and message.isprintable()


def test_an_ordinary_message_stays_as_it_is():
    message = "a.dat, line 3: 'x\u00e9' is no number; 1 to 10 \u00c5 is needed"
    assert one_line(message) == message
    assert one_line("two\nlines\x1b[2J") == "two lines\N{REPLACEMENT CHARACTER}[2J"
    assert one_line("a" * 300 + "b" * 300) == "a" * 260 + " ... " + "b" * 120
