"""The supervisor as a child process, seen from the caller of `Exchange.start`."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ExchangeError, ExchangeNotFound, ProcessDied
from shm_exchange.domain.packing import packed_config
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.channel import Channel
from shm_exchange.runtime.launch import launch
from shm_exchange.supervisor.crew import died
from shm_exchange.supervisor.kept import NOTHING_KEPT, Kept
from shm_exchange.supervisor.wire import packed_journal, unpacked_error

MODULE = "shm_exchange.supervisor"
_STOP_SECONDS = 75.0

_GRACE_SECONDS = 2.0


class OwnedSupervisor:
    """A supervisor child, told what to run. `await_ready` before anything else is asked of it. Raises ConfigError, ProcessDied."""

    def __init__(self, config: ExchangeConfig, directory: str | Path, core: int | None, kept: Kept = NOTHING_KEPT) -> None:
        self._name = config.name
        self._process = launch(MODULE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._mutex = threading.Lock()
        self._requests = 0
        self.pid = self._process.pid
        try:
            journal = packed_journal(kept.journal)
            self._send(config=packed_config(config), directory=str(directory), core=core, caller=os.getpid(), journal=journal, forgets=kept.forgets)
        except BaseException:
            self.close()
            raise

    def await_ready(self) -> None:
        """Wait until its exchange runs. Raises what it could not do, and ended over: ExchangeRunning, NotEnoughMemory, ConfigError, ProcessDied."""
        try:
            answer = self._receive(None)
        except BaseException:
            self.close()
            raise
        if "error" in answer:
            self.close()
            raise unpacked_error(answer["error"])

    def request(self, what: str, **details: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. Raises ProcessDied when the supervisor has ended, and whatever error it answers."""
        with self._mutex:
            self._requests += 1
            self._send(request=what, id=self._requests, **details)
            while True:
                answer = self._receive(None)
                if answer.get("id") == self._requests:  # an interrupted request may have left its answer behind
                    break
        if "error" in answer:
            raise unpacked_error(answer["error"])
        return answer

    def stop(self) -> str:
        """Let it end the matcher and remove the memory. Returns what was wrong with the end, or nothing."""
        with self._mutex:
            try:
                self._send(request="stop", id=0)
                while "stopped" not in (answer := self._receive(_STOP_SECONDS)):
                    continue
                return str(answer["trouble"])
            except ExchangeNotFound:  # somebody else stopped it before
                return ""
            except ExchangeError as error:
                return str(error)
            finally:
                self.close()

    def close(self) -> None:
        """Close the pipes, which tells it to end; wait for that, and insist."""
        self._channel.forget()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _send(self, **message: Any) -> None:
        try:
            self._channel.send(**message)
        except BrokenPipeError as error:
            raise self._died() from error

    def _receive(self, timeout: float | None) -> dict[str, Any]:
        try:
            answer = self._channel.receive(timeout)
        except TimeoutError as error:
            raise ExchangeError(f"the supervisor of exchange {self._name!r}, process {self.pid}, does not answer; it will be killed") from error
        if answer is None:
            raise self._died()
        return answer

    def _died(self) -> ExchangeError:
        if (code := self._process.wait()) == 0:
            return ExchangeNotFound(f"exchange {self._name!r} was stopped: by stop(), by a SIGTERM to process {self.pid}, or by `shm-exchange stop`")
        how = pidfd.describe_exit(code)
        return ProcessDied(died(f"the supervisor of exchange {self._name!r}", how, "its matcher ended with it: stop and start again"))
