"""Notes a signal that asks the process to end, so that the training loop can save before it ends."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any] | int | None


class StopRequest:
    """A context in which the first SIGTERM or SIGINT is only noted; a second one has its usual effect.

    Orbax's own preemption hook needs jax.distributed, which a single process does not start. Outside the main thread
    Python forbids signal handlers, so no signal is noted there.

    Attributes:
      signal_name: "SIGTERM" or "SIGINT" once the signal has come; "" until then.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal_name = ""
        self._handlers_before: dict[int, _Handler] = {}

    def __enter__(self) -> "StopRequest":
        try:
            for number in self.SIGNALS:
                self._handlers_before[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._handlers_before.clear()

    def _note(self, number: int, _: FrameType | None) -> None:
        """Notes the signal and restores the former handlers."""
        self.signal_name = signal.Signals(number).name
        self.__exit__()
