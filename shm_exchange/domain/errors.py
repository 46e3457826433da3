"""What can go wrong outside the market. Refused commands are not errors: they are REJECTED reports with a `RejectReason`.

ExchangeError
├── ConfigError            a flag, file or argument does not fit
├── PriceError             a price that is not a multiple of the tick, or no number
├── QuantityError          a quantity that is not a multiple of the lot, or no number
├── UnknownSymbol          no such instrument on this exchange
├── ExchangeNotFound       nobody runs an exchange of that name
├── ExchangeRunning        somebody does already
├── LayoutMismatch         this memory was written by another version
├── NotEnoughMemory        /dev/shm cannot hold it
├── SessionInUse           another live process holds the session
├── NoFreeSession          all lanes are taken
├── LaneFull               the matcher did not take our commands in time
├── ReportsLost            reports were overwritten before we read them
├── EventsLost             an event reader was lapped
├── SnapshotBusy           no consistent copy in the allowed tries
├── HandleClosed           this handle was closed, or belongs to the parent of this process
├── JournalError           journal files cannot be written, are not there, in use, or of another version
├── JournalDamaged         what stands in journal files is not what was written; the text says where
├── ProcessDied            a child ended with an error
├── Empty                  nothing came in time; more may come
├── Closed                 nobody is left at the other end of a queue
└── MissingExtra           an optional group is not installed
"""


class ExchangeError(Exception):
    """Base of all errors of this package; its text says what, why, and what to do."""


class ConfigError(ExchangeError, ValueError):
    """A flag, file or argument does not fit."""


class PriceError(ExchangeError, ValueError):
    """The price cannot be said in whole ticks. Nothing was sent."""


class QuantityError(ExchangeError, ValueError):
    """The quantity cannot be said in whole lots. Nothing was sent."""


class UnknownSymbol(ExchangeError, KeyError):
    """No such instrument on this exchange."""

    __str__ = Exception.__str__


class ExchangeNotFound(ExchangeError):
    """Nobody runs an exchange of that name."""


class ExchangeRunning(ExchangeError):
    """An exchange of that name is alive."""


class LayoutMismatch(ExchangeError):
    """The memory was laid out by another version of the package."""


class NotEnoughMemory(ExchangeError):
    """/dev/shm has less room than the exchange needs."""


class SessionInUse(ExchangeError):
    """Another live process holds the session."""


class NoFreeSession(ExchangeError):
    """All lanes belong to other sessions."""


class LaneFull(ExchangeError):
    """The matcher did not take our commands in time; what was not submitted is not in the lane."""


class _Lost(ExchangeError):
    what = "records"
    cure = ""
    shard = 0
    """Whose numbers they are, on an exchange in shards."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"{self.what} {first} to {last} were overwritten before they were read; the next poll goes on at {last + 1}; {self.cure}")
        self.first = first
        self.last = last


class ReportsLost(_Lost):
    """Reports `first` to `last` were skipped because the report ring was full; polling goes on behind them."""

    what = "reports"
    cure = "poll more often, or start the exchange with a greater report_capacity"


class EventsLost(_Lost):
    """Events `first` to `last` were overwritten before this reader took them; polling goes on behind them."""

    what = "events"
    cure = "poll more often, or start the exchange with a greater event_capacity"


class SnapshotBusy(ExchangeError):
    """The writer overtook the reader in every allowed try."""


class HandleClosed(ExchangeError):
    """The handle was closed, or was inherited over a fork."""


class JournalError(ExchangeError):
    """Journal files cannot be used: none there, in use by another process, of another version, or no room for them."""


class JournalDamaged(ExchangeError):
    """A journal holds what was never written so; the text says file, record and byte. Nothing of it was changed."""


class ProcessDied(ExchangeError):
    """A child process ended with an error or a signal; the text carries its traceback."""


class Empty(ExchangeError):
    """Nothing came out of a queue in time. More may come."""


class Closed(ExchangeError):
    """Nobody is left at the other end of a queue, and there is nothing left in it; or this end was closed."""


class MissingExtra(ExchangeError, ImportError):
    """An optional group is not installed."""


def missing_extra(group: str, error: ImportError) -> MissingExtra:
    """The one way to say that an optional group is needed."""
    return MissingExtra(f"this needs {error.name}; install it with: pip install 'shm-exchange[{group}]'")
