"""The referee's file form `orders_*.bin`: a 16-byte header, then MESSAGE records; little-endian throughout.

Read strictly: a file that is cut short, or that means something else, is refused before anything is measured with it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.flow import MESSAGE, MessageKind, MessageSide
from shm_exchange.domain.errors import ConfigError

HEADER = np.dtype([("magic", "<u8"), ("version", "<u4"), ("count", "<u4")])
MAGIC = 0x4D4542575F303031
VERSION = 1


def write_orders(path: Path, messages: np.ndarray) -> None:
    """Write `messages` as the referee's generator would."""
    header = np.zeros(1, HEADER)
    header["magic"] = MAGIC
    header["version"] = VERSION
    header["count"] = len(messages)
    with Path(path).open("wb") as file:
        file.write(header.tobytes())
        file.write(np.ascontiguousarray(messages, MESSAGE).data)


def read_orders(path: Path) -> np.ndarray:
    """The messages of a file, checked."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; give an orders_*.bin file of the referee") from error
    if len(content) < HEADER.itemsize:
        raise _refused(path, f"{len(content)} bytes are less than its header of {HEADER.itemsize}")
    header = np.frombuffer(content, HEADER, count=1)[0]
    if header["magic"] != MAGIC:
        raise _refused(path, f"it starts with {int(header['magic']):#x}, not {MAGIC:#x}")
    if header["version"] != VERSION:
        raise _refused(path, f"it has version {header['version']}, and {VERSION} is the one known")
    wanted = HEADER.itemsize + int(header["count"]) * MESSAGE.itemsize
    if len(content) != wanted:
        raise _refused(path, f"{header['count']} messages need {wanted} bytes and it has {len(content)}")
    messages = np.frombuffer(content, MESSAGE, offset=HEADER.itemsize).copy()
    _check_messages(path, messages)
    return messages


def _check_messages(path: Path, messages: np.ndarray) -> None:
    positions = np.arange(len(messages), dtype=np.uint64)
    for name, wrong in (
        ("type", messages["kind"] > MessageKind.MODIFY),
        ("side", messages["side"] > MessageSide.SELL),
        ("ioc", messages["ioc"] > 1),
        ("sequence", messages["sequence"] != positions),
        ("order id", messages["order_id"] >= 1 << 63),
    ):
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise _refused(path, f"the {name} of message {first} is out of range")


def _refused(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} is no orders file: {why}; write a new one with the referee's generator or ours")
