"""MEMORY: the files an exchange lives in, who holds which byte lock, and the views of the arrays."""

from shm_exchange.shm.group import shards_found, shards_of
from shm_exchange.shm.locks import ATTACH_BYTE, KEEPER_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE
from shm_exchange.shm.registry import ExchangeInfo, exchanges, reap
from shm_exchange.shm.root import SHM_DIR
from shm_exchange.shm.segment import Records, Segment, attach, create

__all__ = [
    "ATTACH_BYTE",
    "KEEPER_BYTE",
    "MATCHER_BYTE",
    "SHM_DIR",
    "SUPERVISOR_BYTE",
    "ExchangeInfo",
    "Records",
    "Segment",
    "attach",
    "create",
    "exchanges",
    "reap",
    "shards_found",
    "shards_of",
]
