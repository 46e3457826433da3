"""What lies in a checkpoint: the state of the engine as its rules see it, and a header that says which state.

    checkpoint-<sequence>.image   ┌───────────────────┬─────────────┬───────────────┬────────────────┬────────────────┬──────────────┬─────────────┐
                                  │ CHECKPOINT_HEADER │ IMAGE_STATE │ IMAGE_SESSION │ IMAGE_ACCOUNT  │ IMAGE_TRADED   │ IMAGE_PAGE   │ IMAGE_ORDER │
                                  │                   │ one         │ from number 1 │ from number 1  │ by instrument  │ best first   │ queue order │
                                  └───────────────────┴─────────────┴───────────────┴────────────────┴────────────────┴──────────────┴─────────────┘

No slot, link or hash of a pool is written: an image fits pools of any size that hold it, and survives another layout of them. The CRC is a CRC-32C
as in `layout.files`, over all words of the file with the field `crc` as 0.
"""

from __future__ import annotations

import numpy as np

from shm_exchange.layout.headers import lines

CHECKPOINT_MAGIC = 0x544B_435F_584D_4853  # "SHMX_CKT"

CHECKPOINT_HEADER = lines(
    ("magic", "u8"),
    ("version", "u8"),  # FILE_VERSION
    ("rules_version", "u8"),
    ("config", "u8"),  # digest of what the rules depend on
    ("sequence", "u8"),  # the state behind all log records below
    ("term", "u8"),  # in which it was reached
    ("state_hash", "u8"),
    ("sessions", "u8"),  # lengths of the tables
    ("accounts", "u8"),
    ("instruments", "u8"),
    ("pages", "u8"),
    ("orders", "u8"),
    ("crc", "u8"),
)
IMAGE_STATE = np.dtype(
    [
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("next_event", "i8"),
        ("trades", "i8"),
        ("rejects", "i8"),
        ("admission", "i8"),  # Admission
    ]
)
IMAGE_SESSION = np.dtype(
    [
        ("next_report", "i8"),
        ("position", "i8"),  # next position of its lane
        ("name_low", "i8"),
        ("name_high", "i8"),
        ("account", "u2"),
        ("logged_on", "u2"),
        ("cancel_on_disconnect", "u2"),
        ("_reserved", "u2"),
    ]
)
IMAGE_ACCOUNT = np.dtype([("low", "i8"), ("high", "i8")])
IMAGE_TRADED = np.dtype([("last_price_ticks", "i8"), ("last_quantity", "i8"), ("last_match_id", "i8")])
IMAGE_PAGE = np.dtype(
    [
        ("prefix", "i8"),  # rank >> 6 of its levels
        ("ladder", "i4"),  # bids of instrument i: 2 i; asks: 2 i + 1
        ("session", "i4"),  # the one it is charged to
    ]
)
IMAGE_ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("client_order_id", "u8"),
        ("leaves_quantity", "i8"),
        ("filled_quantity", "i8"),
        ("price_ticks", "i8"),
        ("entry", "i4"),  # how many open orders its session entered before
        ("session", "u2"),
        ("account", "u2"),
        ("instrument", "u2"),
        ("side", "u1"),
        ("_reserved", "u1", (5,)),
    ]
)

for _dtype in (CHECKPOINT_HEADER, IMAGE_STATE, IMAGE_SESSION, IMAGE_ACCOUNT, IMAGE_TRADED, IMAGE_PAGE, IMAGE_ORDER):
    assert _dtype.itemsize % 8 == 0, _dtype
