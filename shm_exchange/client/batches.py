"""A batch of commands over several shards: each command goes to its shard, in the order given, one call for each shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shm_exchange.client.endpoint import Batch, checked_commands
from shm_exchange.client.plain import Records
from shm_exchange.client.shards import LOCAL_MASK, Catalogue
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.errors import LaneFull
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND

if TYPE_CHECKING:
    from shm_exchange.client.gateway import Gateway

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
Marks = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
_ABOUT_ORDERS = (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE)
_NO_INSTRUMENT = ALL_INSTRUMENTS - 1


class ShardedBatch(Batch):
    """What `submit_many` did. Ids do not run on over shards: `ids` has that of every command, 0 where it did not go in."""

    ids: Ids


def in_parts(
    parts: Sequence[Gateway],
    catalogue: Catalogue,
    commands: Records,
    shard_of: Callable[[int, int], int],
    remember: Callable[[int, int], None],
) -> ShardedBatch:
    """Submit every command to the gateway of its shard. Raises ConfigError, and then nothing was sent; LaneFull, whose text says how many were."""
    own = checked_commands(commands).view(COMMAND).copy()
    goes = _routes(own, len(parts), catalogue, shard_of, remember)
    ids, missing, full = np.zeros(len(own), np.int64), np.zeros(len(own), np.bool_), None
    for shard, part in enumerate(parts):
        (chosen,) = np.nonzero(goes[shard])
        first, before = part.submit_many(own[:0]).first_id, part.submitted
        try:
            part.submit_many(own[chosen])
        except LaneFull as error:
            full = error
        done = part.submitted - before
        sent = chosen[:done]
        ids[sent] = np.where(ids[sent], ids[sent], (shard << SHARD_BITS_FROM) + first + np.arange(done))
        missing[chosen[done:]] = True
    submitted = len(own) - int(missing.sum())
    if full is not None:
        raise LaneFull(f"{submitted} of {len(own)} commands were submitted, on all shards together: {full}")
    batch = ShardedBatch(int(ids[0]) if len(ids) else 0, submitted)
    batch.ids = ids
    return batch


def _routes(
    own: Records,
    count: int,
    catalogue: Catalogue,
    shard_of: Callable[[int, int], int],
    remember: Callable[[int, int], None],
) -> Marks:
    """By shard and command whether it goes there. Instruments and ids become the shard's own. What makes no sense goes to shard 0, which answers."""
    shards = np.zeros(len(own), np.int64)
    kinds, instruments = own["kind"], own["instrument"].astype(np.int64)
    is_entered, is_mass = kinds == CommandKind.ENTER, kinds == CommandKind.MASS_CANCEL
    known = (is_entered | is_mass) & (instruments < len(catalogue.places))
    shards[known] = catalogue.places[instruments[known], 0]
    own["instrument"][known] = catalogue.places[instruments[known], 1]
    everywhere = is_mass & (instruments == ALL_INSTRUMENTS)
    own["instrument"][(is_entered | is_mass) & ~known & ~everywhere] = _NO_INSTRUMENT
    is_about = np.isin(kinds, _ABOUT_ORDERS)
    entered: list[tuple[int, int]] = []
    here: dict[int, int] = {}
    for index in np.flatnonzero(is_about | (is_entered & (own["client_order_id"] != 0))).tolist():
        order_id, client_order_id = int(own["order_id"][index]), int(own["client_order_id"][index])
        if is_entered[index]:
            here[client_order_id] = int(shards[index])
            entered.append((client_order_id, here[client_order_id]))
        elif not order_id and client_order_id in here:
            shards[index] = here[client_order_id]
        else:
            shards[index] = shard_of(order_id, client_order_id)
    own["order_id"][is_about] &= LOCAL_MASK
    for each in entered:
        remember(*each)
    goes: Marks = (shards == np.arange(count)[:, np.newaxis]) | everywhere
    return goes
