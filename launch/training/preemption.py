"""A polite end: a signal sets a flag, the loop saves and leaves."""

import signal
from types import FrameType


class StopRequest:
    """While entered, the first SIGTERM or SIGINT is noted in `signal_name`; a second acts as ever.

    Orbax's own preemption hook needs jax.distributed, which a single process does not start.
    Outside the main thread, where Python lets no one set handlers, nothing is noted.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal_name = ""
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        try:
            for number in self.SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        self.__exit__()
