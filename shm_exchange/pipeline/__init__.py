"""LIBRARY: bounded queues with a policy, stages and worker pools joined by them, what they measure, and feeds of ticks.

policy   what a full queue does          queue    the interface all queues share          tick      the record of a feed
pool     workers behind one queue        pipeline stages joined by queues                 monitor   a look at either
fan      one way into many workers       team     members, replaced when killed           body      what a worker does, item by item
local    between threads and tasks       ring     records between processes               fifo      objects between processes
"""

from shm_exchange.pipeline.exposition import exposition
from shm_exchange.pipeline.fifo import FifoQueue
from shm_exchange.pipeline.local import LocalQueue
from shm_exchange.pipeline.metrics import PipelineMetrics, PoolMetrics, SourceMetrics, WorkerMetrics
from shm_exchange.pipeline.monitor import Monitor
from shm_exchange.pipeline.pipeline import Pipeline
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.pool import WorkerPool
from shm_exchange.pipeline.queue import Address, Consumer, Figures, Producer, Put, Queue
from shm_exchange.pipeline.ring import RingQueue
from shm_exchange.pipeline.size import size
from shm_exchange.pipeline.tick import TICK, Tick

__all__ = [
    "TICK",
    "Address",
    "Consumer",
    "FifoQueue",
    "Figures",
    "LocalQueue",
    "Monitor",
    "Pipeline",
    "PipelineMetrics",
    "Policy",
    "PoolMetrics",
    "Producer",
    "Put",
    "Queue",
    "RingQueue",
    "SourceMetrics",
    "Tick",
    "WorkerMetrics",
    "WorkerPool",
    "exposition",
    "size",
]
