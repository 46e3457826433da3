"""A small weak memory model: what processors and compilers may make of relaxed, acquire and release accesses and of fences, step by step.

Every location keeps all its versions in their order; every version carries the *view* of its writer: how new each other location must at least look
to who has learnt from it. An actor's own view says which versions it may still read.

    load             any version not older than the own view ("early"). Relaxed: the version's view is only kept aside; acquire: it is joined
    late load        a relaxed load is performed only when its value is used or something orders it, so it may be overtaken by stores behind it
    store            a version after those already seen, not always the last. Relaxed carries what the last release fence saw; release the whole view
    acquire fence    joins what relaxed loads kept aside
    release fence    what is seen now goes with all later relaxed stores
    full fence       both, and a view common to all full fences is joined both ways
    locked operation reads the newest version, nothing comes between that and its own, and it is a full fence (`_intrinsics` promises that)
    futex            wait: full fence, look, and fall asleep in one step; wake: full fence, then whoever sleeps is awake

This is the view-based form of release/acquire memory (C11 as repaired; loads may be late, but nothing comes out of thin air). ARMv8, which shows a
store to all others at once, is stronger: what holds here holds there. A store waits for the branches before it, as on every processor.

A view is one integer: WIDTH bits a location, of which as many are set as there are versions passed, so that to join is to "or".
A state is immutable and hashable, so that one reached in two ways is looked at once (tests.sim.explore).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

WIDTH = 24
"""Versions of a location that a view can tell apart."""
_MASK = (1 << WIDTH) - 1

Kind = Literal["load", "store", "locked", "fence", "need", "wait", "wake", "done", "failed"]
Order = Literal["relaxed", "acquire", "release", "full"]


class Operation(NamedTuple):
    """What an actor does next. A relaxed load appears as `need`, when its value is asked for."""

    kind: Kind
    order: Order = "relaxed"
    location: int = -1
    value: Any = 0  # stored; expected by `wait`; number of the late load that is needed; outcome; what failed
    function: Callable[[int, int], int] | None = None  # of `locked`: from the word and the operand to the new word


class Message(NamedTuple):
    """One version of a location."""

    value: int
    view: int
    locked: bool = False


class History:
    """All versions of a location. Equal ones are one object."""

    __slots__ = ("messages",)

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages


class Late(NamedTuple):
    """A relaxed load that is not yet performed."""

    number: int
    location: int
    oldest: int  # version that it may read


class Actor(NamedTuple):
    """What the memory knows of one actor. `node` is all that the actor itself knows: see tests.sim.processor."""

    node: Any
    late: tuple[Late, ...] = ()
    seen: int = 0
    aside: int = 0  # `seen`, and what relaxed loads would tell to an acquire fence
    released: int = 0  # what relaxed stores carry
    asleep: bool = False
    busy: bool = False  # has performed some of the late loads that its next operation waits for


class State(NamedTuple):
    """Memory, the view common to full fences, and all actors."""

    memory: tuple[History, ...]
    fenced: int
    actors: tuple[Actor, ...]


class Move(NamedTuple):
    """A step that can be taken: by whom, what is read or where it is stored, and what comes of it."""

    actor: int
    operation: Operation
    version: int  # read or stored; -1 = none
    result: int
    after: State


def own_view(location: int, version: int) -> int:
    """The view of who has seen this version of one location."""
    return ((1 << version) - 1) << location * WIDTH


def oldest_seen(view: int, location: int) -> int:
    """The first version that is not hidden."""
    return (view >> location * WIDTH & _MASK).bit_length()


class Memory:
    """Makes states from states."""

    def __init__(self) -> None:
        self._histories: dict[tuple[Message, ...], History] = {}

    def start(self, values: list[int], nodes: list[Any]) -> State:
        """Everybody sees the initial values."""
        memory = tuple(self._history((Message(value, 0),)) for value in values)
        return State(memory, 0, tuple(arrive(Actor(node)) for node in nodes))

    def moves(self, state: State) -> list[Move]:
        """All steps that can be taken. A step that nobody can tell from one taken earlier or later is not offered twice."""
        for number, actor in enumerate(state.actors):
            # Fences are private; and between late loads and what they wait for nothing can happen that could not have happened before.
            if actor.busy or (not actor.asleep and actor.node.operation.kind == "fence" and actor.node.operation.order != "full" and not actor.late):
                return list(self._moves_of(state, number))
        return [move for number in range(len(state.actors)) for move in self._moves_of(state, number)]

    def _moves_of(self, state: State, number: int) -> Iterator[Move]:
        actor = state.actors[number]
        operation: Operation = actor.node.operation
        if actor.asleep or operation.kind in ("done", "failed"):
            return
        if waiting := _must_come_first(actor, operation):
            yield from self._perform_late(state, number, waiting[0])
        elif operation.kind == "store":
            yield from self._store(state, number, operation)
        elif operation.kind == "load":
            yield from self._load(state, number, operation)
        elif operation.kind == "fence":
            yield _moved(state, number, operation, _fenced(state, actor, operation.order))
        elif operation.kind == "locked":
            yield self._locked(state, number, operation)
        elif operation.kind == "wait":
            yield from self._wait(state, number, operation)
        else:
            yield _woken(state, number, operation)

    def _perform_late(self, state: State, number: int, late: Late) -> Iterator[Move]:
        actor = state.actors[number]
        for version, message in _readable(state.memory[late.location], late.oldest):
            own = own_view(late.location, version)
            others = tuple(_not_older(other, late.location, version) for other in actor.late if other != late)
            read = actor._replace(late=others, seen=actor.seen | own, aside=actor.aside | own | message.view)
            node = actor.node.learn(late.number, message.value)
            after = arrive(read._replace(node=node, busy=node.operation is actor.node.operation))
            operation = Operation("load", "relaxed", late.location)
            yield Move(number, operation, version, message.value, _with(state, number, after))

    def _load(self, state: State, number: int, operation: Operation) -> Iterator[Move]:
        """An acquire load."""
        actor, location = state.actors[number], operation.location
        for version, message in _readable(state.memory[location], oldest_seen(actor.seen, location)):
            seen = actor.seen | message.view | own_view(location, version)
            yield _moved(state, number, operation, (state.fenced, actor._replace(seen=seen, aside=actor.aside | seen)), version, message.value)

    def _store(self, state: State, number: int, operation: Operation) -> Iterator[Move]:
        location = operation.location
        messages = state.memory[location].messages
        for version in range(oldest_seen(state.actors[number].seen, location) + 1, len(messages) + 1):
            if version < len(messages):
                if messages[version].locked:
                    continue
                room = self._make_room(state, location, version)
            else:
                room = state
            actor, own = room.actors[number], own_view(location, version)
            view = own | (actor.seen if operation.order == "release" else actor.released)
            stored = self._put(room, location, version, Message(operation.value, view))
            after = actor._replace(seen=actor.seen | own, aside=actor.aside | own)
            yield _moved(stored, number, operation, (stored.fenced, after), version, operation.value)

    def _locked(self, state: State, number: int, operation: Operation) -> Move:
        location, function = operation.location, operation.function
        assert function
        version = len(state.memory[location].messages)
        before, own = state.memory[location].messages[-1], own_view(location, version)
        fenced, actor = state.fenced, state.actors[number]
        if operation.order == "full":
            seen = actor.aside | before.view | fenced | own
            fenced, view, actor = seen, seen, actor._replace(seen=seen, aside=seen, released=seen)
        else:
            view = actor.released | before.view | own
            actor = actor._replace(seen=actor.seen | own, aside=actor.aside | before.view | own)
        stored = self._put(state, location, version, Message(function(before.value, operation.value), view, locked=True))
        return _moved(stored, number, operation, (fenced, actor), version, before.value)

    def _wait(self, state: State, number: int, operation: Operation) -> Iterator[Move]:
        fenced, actor = _fenced(state, state.actors[number], "full")
        for version, message in _readable(state.memory[operation.location], oldest_seen(actor.seen, operation.location)):
            if message.value == operation.value:
                after = _with(state, number, actor._replace(asleep=True, busy=False))._replace(fenced=fenced)
                yield Move(number, operation, version, message.value, after)
            else:
                yield _moved(state, number, operation, (fenced, actor), version, -1)

    def _put(self, state: State, location: int, version: int, message: Message) -> State:
        messages = state.memory[location].messages
        assert len(messages) <= WIDTH, "more versions of one word than a view can tell apart"
        return _with_history(state, location, self._history((*messages[:version], message, *messages[version:])))

    def _make_room(self, state: State, location: int, version: int) -> State:
        """Number the versions from this one on one higher, in all views."""

        def shift(view: int) -> int:
            return view | 1 << location * WIDTH + oldest_seen(view, location) if oldest_seen(view, location) >= version else view

        memory = tuple(self._history(tuple(one._replace(view=shift(one.view)) for one in history.messages)) for history in state.memory)
        actors = []
        for actor in state.actors:
            late = tuple(one._replace(oldest=one.oldest + (one.location == location and one.oldest >= version)) for one in actor.late)
            actors.append(actor._replace(late=late, seen=shift(actor.seen), aside=shift(actor.aside), released=shift(actor.released)))
        return State(memory, shift(state.fenced), tuple(actors))

    def _history(self, messages: tuple[Message, ...]) -> History:
        return self._histories.setdefault(messages, History(messages))


def arrive(actor: Actor) -> Actor:
    """Begin the relaxed loads that the actor comes to on the way to its next operation."""
    if not actor.node.loads:
        return actor
    first = actor.node.first_load
    begun = [Late(first + index, location, oldest_seen(actor.seen, location)) for index, location in enumerate(actor.node.loads)]
    return actor._replace(late=(*actor.late, *begun))


def _must_come_first(actor: Actor, operation: Operation) -> list[Late]:
    """The late loads that an operation waits for: all, or those of the same word."""
    if operation.kind == "need":
        location = next(late.location for late in actor.late if late.number == operation.value)
    elif operation.order in ("release", "full") or operation.kind in ("fence", "wait", "wake"):
        return list(actor.late)
    else:
        location = operation.location
    return [late for late in actor.late if late.location == location]


def _readable(history: History, oldest: int) -> Iterator[tuple[int, Message]]:
    """Versions that can be read. One that says the same as an older one and binds the reader more shows nothing that the older one would not."""
    messages = history.messages
    for version in range(oldest, len(messages)):
        message = messages[version]
        if not any(one.value == message.value and one.view | message.view == message.view for one in messages[oldest:version]):
            yield version, message


def _not_older(late: Late, location: int, version: int) -> Late:
    return late._replace(oldest=max(late.oldest, version)) if late.location == location else late


def _fenced(state: State, actor: Actor, order: Order) -> tuple[int, Actor]:
    """The common view and the actor after a fence."""
    if order == "acquire":
        return state.fenced, actor._replace(seen=actor.aside)
    if order == "release":
        return state.fenced, actor._replace(released=actor.seen)
    seen = actor.aside | state.fenced
    return seen, actor._replace(seen=seen, aside=seen, released=seen)


def _woken(state: State, number: int, operation: Operation) -> Move:
    """Whoever sleeps on the word goes on."""
    fenced, actor = _fenced(state, state.actors[number], "full")
    count = 0
    for other, sleeper in enumerate(state.actors):
        if sleeper.asleep and sleeper.node.operation.location == operation.location:
            state = _with(state, other, arrive(sleeper._replace(node=sleeper.node.result(0), asleep=False)))
            count += 1
    return _moved(state, number, operation, (fenced, actor), -1, count)


def _moved(state: State, number: int, operation: Operation, after: tuple[int, Actor], version: int = -1, result: int = 0) -> Move:
    fenced, actor = after
    told = result if operation.kind in ("load", "locked", "wait", "wake") else 0
    actor = arrive(actor._replace(node=actor.node.result(told), busy=False))
    return Move(number, operation, version, result, _with(state, number, actor)._replace(fenced=fenced))


def _with(state: State, number: int, actor: Actor) -> State:
    return state._replace(actors=(*state.actors[:number], actor, *state.actors[number + 1 :]))


def _with_history(state: State, location: int, history: History) -> State:
    return state._replace(memory=(*state.memory[:location], history, *state.memory[location + 1 :]))
