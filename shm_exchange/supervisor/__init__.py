"""PARENT: who makes the memory, starts the others, watches them, and cleans up. Never on the order's way.

    exchange    Exchange, the public handle: start, attach, stop, status, verify, spawn
    sharded     the same over all shards of an exchange                      sharding   what goes to which shard
    owned       the supervisor as a child process, seen from its caller      __main__  the same, seen from inside
    supervisor  memory + matcher + spin policy, in the process that supervises
    matcher     the matcher as a child process                               control   the supervisor's page of words
    serve       what a supervisor waits for                                  remote    stop and verify from any terminal
    spawn       users' functions as processes of their own                   worker    the inside of such a process
    gateways    gateway processes with a flow or a function, and their figures  wanted  what may be asked of them
    kernels     the tour that compiles every kernel once                     wire      what caller and supervisor tell each other
    status      an exchange in figures                                       caches    compiled kernels that are kept here

Only `kernels` and `gateways` import numba when they are imported, so a supervisor is up in a fraction of a second.
"""

from shm_exchange.supervisor.exchange import Exchange
from shm_exchange.supervisor.sharded import ShardedExchange
from shm_exchange.supervisor.spawn import Child

__all__ = ["Child", "Exchange", "ShardedExchange"]
