"""The parking handshakes on the memory model, where a sleeper sleeps for ever unless it is woken: no backstop hides a lost wake-up.

gateways: `submit`                               against   the matcher: `_park`, and `_cool`, which takes a quiet lane off its list
the matcher: `publish_reports`, `_wake_parked`   against   a gateway: `park_for_report`
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from shm_exchange.client import waiting
from shm_exchange.layout.headers import PARKED
from shm_exchange.matcher import loop, step, sweep
from shm_exchange.ring import lane as ring_lane
from shm_exchange.ring.reports import READER
from tests.sim.explore import ASLEEP, Executions, explore
from tests.sim.lanes import ModelLanes, payload
from tests.sim.processor import private
from tests.sim.reports import SESSION, ModelReports
from tests.sim.texts import Texts, Weaker


def submit_executions(*weaker: Weaker, gateways: int = 1, commands: int = 1, active: bool = True) -> Executions:
    """Gateways that submit so many commands each, and a matcher that parks and sweeps until it has them all. active: their bits are set before."""
    lanes = ModelLanes(gateways, active=active)
    texts = Texts(lanes.processor, *weaker)
    submit, park, look = texts(ring_lane.submit), texts(loop._park), texts(sweep.sweep)
    total = gateways * commands

    def matcher() -> int:
        memory, policy, outputs, log = lanes.matcher(hot=False)
        for _ in range(2 * total):  # a gateway that was slow to wake us may do so when we sleep again, once a command
            park(memory, policy, outputs, log)
            look(memory, policy, outputs, log)
            memory.private[0].applied = memory.words[0].log_tail  # as publishing would
            if memory.words[0].log_tail == total:
                break
        return memory.words[0].log_tail

    def gateway(session: int) -> None:
        producer = lanes.producer(session)
        for position in range(1, commands + 1):
            submit(producer, *payload(session, position))

    def check(taken: Any, *_: None) -> None:
        assert taken != ASLEEP, "a command is submitted, and the matcher sleeps"
        assert taken == total, f"the matcher was awake, and took {taken} commands of {total}"

    programs = {f"gateway{session}": partial(gateway, session) for session in lanes.sessions}
    executions = explore(lanes.processor, check, matcher=matcher, **programs)
    assert texts.weakened == set(weaker)
    return executions


def cool_executions(*weaker: Weaker) -> Executions:
    """A gateway that submits while the matcher takes its lane off the list. When both are done, the bit or the list tells the matcher to look."""
    lanes = ModelLanes(active=True)
    texts = Texts(lanes.processor, *weaker)
    submit, cool, look = texts(ring_lane.submit), texts(sweep._cool), texts(sweep.look_at_activity)
    done = lanes.processor.shared("done", PARKED)
    exchange, sleep, wake = (lanes.processor.intrinsics[name] for name in ("exchange", "futex_wait", "futex_wake"))

    def matcher() -> int:
        memory, policy, *_ = lanes.matcher(hot=True)
        cool(memory, policy, 0)
        sleep(done.ctypes.data, 0, 0)
        exchange(done[0], "parked", 0)
        look(memory)
        return int(memory.lane_state[1].hot)

    def gateway() -> None:
        submit(lanes.producer(1), *payload(1, 1))
        exchange(done[0], "parked", 1)
        wake(done.ctypes.data)

    def check(hot: Any, _: None) -> None:
        assert hot == 1, "a command is submitted, and nothing tells the matcher to look"

    executions = explore(lanes.processor, check, matcher=matcher, gateway=gateway)
    assert texts.weakened == set(weaker)
    return executions


def report_parking_executions(*weaker: Weaker, written: int = 1) -> Executions:
    """A matcher that writes so many reports, each a batch of its own, and a gateway that parks until it has them all."""
    ring = ModelReports(*weaker)
    parked = ring.processor.shared("parked", PARKED, SESSION + 1)
    wake, park = ring.texts(step._wake_parked), ring.texts(waiting.park_for_report)

    def matcher() -> None:
        book, outputs = ring.writing()
        memory = SimpleNamespace(parked=parked, counters=[SimpleNamespace(wakes=0)])
        for _ in range(written):
            ring.write(book, outputs)
            wake(memory, outputs)
            outputs.state[0].touched = 0

    def gateway() -> int:
        reader, taken = private(READER, next_report=1), list[int]()
        for _ in range(2 * written):  # as above
            park([reader], ring.reports, ring.tail, parked.part(SESSION), 0)
            taken += ring.take(reader)
            if len(taken) == written:
                break
        return len(taken)

    def check(_: None, taken: Any) -> None:
        assert taken != ASLEEP, "a report is published, and its gateway sleeps"
        assert taken == written, f"the gateway was awake, and took {taken} reports of {written}"

    executions = explore(ring.processor, check, matcher=matcher, gateway=gateway)
    assert ring.texts.weakened == set(weaker)
    return executions
