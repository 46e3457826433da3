"""LIBRARY: bounded queues with a policy, stages and worker pools joined by them, what they measure, and feeds of ticks.

policy   what a full queue does          queue    the interface all queues share          tick   the record of a feed
local    between threads and tasks       ring     records between processes              fifo   objects between processes
"""

from shm_exchange.pipeline.fifo import FifoQueue
from shm_exchange.pipeline.local import LocalQueue
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Address, Consumer, Figures, Producer, Put, Queue
from shm_exchange.pipeline.ring import RingQueue
from shm_exchange.pipeline.tick import TICK, Tick

__all__ = ["TICK", "Address", "Consumer", "FifoQueue", "Figures", "LocalQueue", "Policy", "Producer", "Put", "Queue", "RingQueue", "Tick"]
