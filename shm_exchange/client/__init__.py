"""LIBRARY: what any process imports to trade or to watch.

Gateway      submit commands through the lane of one session, take its reports
MarketView   the newest top of one book, copied without a lock
EventFeed    every event since you came, or the news that you were lapped
BookReplica  the whole book, order by order, rebuilt from the events

ShardedGateway and ShardedFeed are what `attach` of the first and the third returns for an exchange in shards: the same methods over all of them.
"""

from shm_exchange.client.endpoint import Batch
from shm_exchange.client.feed import Event, EventFeed
from shm_exchange.client.gateway import Gateway
from shm_exchange.client.replica import BookReplica, RestingOrder
from shm_exchange.client.report import Report
from shm_exchange.client.sharded_feed import ShardedFeed
from shm_exchange.client.sharded_gateway import ShardedGateway
from shm_exchange.client.view import Depth, Level, MarketView

__all__ = [
    "Batch",
    "BookReplica",
    "Depth",
    "Event",
    "EventFeed",
    "Gateway",
    "Level",
    "MarketView",
    "Report",
    "RestingOrder",
    "ShardedFeed",
    "ShardedGateway",
]
