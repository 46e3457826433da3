"""What a pipeline is made of before it runs: queues, sources and stages by name, and everything that can be wrong between them."""

from __future__ import annotations

from typing import Any, NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.fan import Plan, checked_plan
from shm_exchange.pipeline.team import Work, checked_work


class Link:
    """A queue of a pipeline that is still to be made: of which kind depends on who uses it."""

    def __init__(self, plan: Plan, lag_threshold: int | None) -> None:
        self.plan = plan
        self.lag_threshold = lag_threshold

    def __repr__(self) -> str:
        return f"<queue {self.plan.name}>"


class Node(NamedTuple):
    """A source (without input), a stage, or a sink (without output)."""

    work: Work
    by: Any
    input: Link | None
    output: Link | None


class Graph:
    """Queues and who uses them."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.nodes: list[Node] = []

    def add_link(self, link: Link) -> Link:
        """Raises ConfigError for a name that is taken."""
        if any(link.plan.name == other.plan.name for other in self.links):
            raise ConfigError(f"there are two queues {link.plan.name!r}; give each a name of its own")
        self.links.append(checked_link(link))
        return link

    def add(self, node: Node) -> None:
        """Raises ConfigError for what cannot be wanted."""
        work = checked_work(node.work)
        if any(work.name == other.work.name for other in self.nodes):
            raise ConfigError(f"there are two members {work.name!r}; give each a name of its own")
        for link in (node.input, node.output):
            if link is not None and link not in self.links:
                raise ConfigError(f"{link!r} of {work.name!r} is no queue of this pipeline; make it with its queue()")
        taken = next((other for other in self.nodes if node.input is not None and other.input is node.input), None)
        if taken is not None:
            raise ConfigError(f"{node.input!r} is read by {taken.work.name!r} already; give {work.name!r} a queue of its own, or more workers to one")
        self.nodes.append(node._replace(work=work))

    def producers_of(self, link: Link) -> list[Node]:
        """Who puts into it."""
        return [node for node in self.nodes if node.output is link]

    def consumer_of(self, link: Link) -> Node:
        """Who gets from it."""
        return next(node for node in self.nodes if node.input is link)

    def plan_of(self, link: Link) -> Plan:
        """Its plan, now that its consumer is known. Raises ConfigError."""
        consumer = self.consumer_of(link)
        return checked_plan(link.plan._replace(by=consumer.by), consumer.work.workers)

    def from_the_end(self) -> list[Node]:
        """Consumers before their producers. Raises ConfigError for a pipeline that is not whole."""
        for link in self.links:
            if not any(node.input is link for node in self.nodes):
                raise ConfigError(f"{link!r} is read by nobody; give it a stage or a sink")
            if not self.producers_of(link):
                raise ConfigError(f"nobody puts into {link!r}; give it a source, or a stage")
        ordered: list[Node] = []
        left = list(self.nodes)
        while left:
            ready = [node for node in left if node.output is None or self.consumer_of(node.output) in ordered]
            if not ready:
                raise ConfigError(f"{', '.join(node.work.name for node in left)} go round in a circle: such a pipeline would never end; cut it")
            ordered += ready
            left = [node for node in left if node not in ready]
        return ordered


def checked_link(link: Link) -> Link:
    """Raises ConfigError for a plan that no consumer can make good."""
    checked_plan(link.plan, 1)
    return link
