"""JSON lines between a parent and its child: one object a line, over pipes."""

from __future__ import annotations

import json
import os
from typing import Any

from shm_exchange.runtime import pidfd

_BYTES = 65_536


class Channel:
    """JSON lines in from one descriptor and out to another."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self._writer = writer
        self._rest = b""
        self._lines: list[bytes] = []

    def send(self, **message: Any) -> None:
        """Write one message. Raises BrokenPipeError when nobody reads."""
        if self._writer < 0:
            raise BrokenPipeError
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._writer, data) :]

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message; None when the other side closed or ended. Raises TimeoutError."""
        while not self._lines:
            if self.reader >= 0 and not pidfd.readable((self.reader,), timeout):
                raise TimeoutError
            if not self.fill():
                return None
        return self.take()

    def forget(self) -> None:
        """Touch the descriptors no more: their owner closes them, and their numbers may come to mean something else."""
        self.reader = self._writer = -1

    def fill(self) -> bool:
        """Read once what is there, waiting for it; False at the end."""
        piece = os.read(self.reader, _BYTES) if self.reader >= 0 else b""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._lines += lines
        return bool(piece)

    def take(self) -> dict[str, Any] | None:
        """The next message that was read already. Raises ValueError, TypeError for what is no JSON object."""
        if not self._lines:
            return None
        message = json.loads(self._lines.pop(0))
        if not isinstance(message, dict):
            raise TypeError(f"{message!r} is not a JSON object")
        return message
