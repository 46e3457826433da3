"""`shm-exchange doctor`: can this machine run an exchange, and how well? Each thing looked at has a verdict, and a cure where it is not ok."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shm_exchange.cli.look import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shm_exchange.runtime.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
_SECTIONS = ("what an exchange needs", "what makes it fast")


def doctor(
    *,
    cores: Annotated[
        str | None, typer.Option(metavar="LIST", help="The cores to be used, such as 2,3 or 4-7; default: all we may use.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Check this machine. Ends 1 only for what prevents running; warnings cost speed, quiet figures, or a tool."""
    from shm_exchange.cli.screen import Screen
    from shm_exchange.runtime.needs import needs
    from shm_exchange.runtime.speed import speed

    screen, chosen = Screen(as_json=as_json), _chosen(cores)
    groups = [list(needs()), list(speed(chosen))]
    findings = [finding for group in groups for finding in group]
    worst = _worst(findings)
    checks = [{"name": one.name, "verdict": one.verdict.value, "found": one.found, "cure": one.cure or None} for one in findings]
    screen.result({"verdict": worst, "cores": list(chosen), "checks": checks})
    for title, group in zip(_SECTIONS, groups, strict=True):
        screen.show(_table(title, group))
    screen.show(_summary(findings, worst))
    if worst == "problem":
        raise typer.Exit(1)


def _chosen(cores: str | None) -> tuple[int, ...]:
    from shm_exchange.runtime.affinity import checked_cores, usable_cores
    from shm_exchange.runtime.machine import cpu_list

    if cores is None:
        return usable_cores()
    try:
        wanted = cpu_list(cores)
    except ValueError:
        raise typer.BadParameter(f"{cores!r} is no list of cores such as 2,3 or 4-7") from None
    return tuple(dict.fromkeys(checked_cores(wanted)))


def _worst(findings: list[Finding]) -> str:
    verdicts = {finding.verdict.value for finding in findings}
    return next(verdict for verdict in ("problem", "warning", "ok") if verdict in verdicts)


def _table(title: str, findings: list[Finding]) -> RenderableType:
    """A line for what is well; below everything else what to do."""
    from rich.console import Group
    from rich.text import Text

    from shm_exchange.cli.screen import table

    rows = []
    for finding in findings:
        text = Text(finding.found)
        if finding.cure:
            text.append(f"\n→ {finding.cure}", style="bold")
        rows.append((finding.name, Text(finding.verdict.value, style=_STYLES[finding.verdict.value]), text))
    made = table("", "", "", rows=rows)
    made.columns[-1].no_wrap = False
    return Group(Text(title, style="bold"), made, Text())


def _summary(findings: list[Finding], worst: str) -> str:
    counts = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in _STYLES}
    if worst == "problem":
        return f"{counts['problem']} of {len(findings)} checks say that an exchange cannot run here"
    if worst == "warning":
        return f"an exchange runs here; {counts['warning']} of {len(findings)} checks warn"
    return "an exchange runs here, and well"
