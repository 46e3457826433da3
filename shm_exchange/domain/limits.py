"""Every limit with its reason. Together they keep each sum below 2^62, so int64 arithmetic in the kernels cannot overflow."""

PRICE_TICKS_MAX = (1 << 52) - 1
"""|price| stays below 2^52 ticks: a signed price and its rank fit 53 bits, exact in a double and in JSON."""

QUANTITY_MAX = (1 << 40) - 1
"""A quantity is 1 … 2^40 - 1 lots: with at most 2^22 open orders every level's total stays below 2^62."""

OPEN_ORDERS_MAX = 1 << 22
"""Size of the order pool at most: links are 32 bits wide and totals stay below 2^62."""

NOTIONAL_MAX = (1 << 62) - 1
"""|price ticks| x lots of one order; tested by division, because the product itself could overflow."""

INSTRUMENTS_MAX = 2048
"""Ladders (two an instrument) take 12 bits of a ladder node's key, which then fits 63 bits."""

SESSIONS_MAX = 1023
"""A session's number is its lane's: the bits of `order_id` above 40, below 2^53 in all (safe in JSON)."""

ACCOUNTS_MAX = 65_535
"""Accounts are 16-bit numbers, given in order of first logon; 0 is nobody."""

POSITION_BITS = 40
"""`order_id = lane << 40 | lane position`: 2^40 commands a lane, a day and more at ten million a second."""

SHARD_BITS_FROM = 50
"""`shard << 50 | lane << 40 | position` is an id on an exchange in shards: SESSIONS_MAX takes the ten bits below, three are left below 2^53."""

SHARDS_MAX = 8
"""What those three bits can tell apart. Shard 0's ids are those of an exchange that has no shards."""

NAME_BYTES = 16
"""Session, account and symbol names: 1 to 16 printable ASCII characters, so that a name fits two words of a record."""

DEPTH_MAX = 64
"""Levels a side in a snapshot: a snapshot slot stays within 2 KiB and can be copied before it is lapped."""

RULES_VERSION = 1
"""What the same log leads to: raised with every change of a rule, so that a journal is never replayed under rules that it was not written under."""

CACHE_LINE = 64
PAGE = 4096
"""What mmap can protect separately; memory is page-aligned by writer."""

SNAPSHOT_SLOTS = 8
"""Versions kept of each snapshot: a reader must be lapped seven times within one copy to need another try."""
