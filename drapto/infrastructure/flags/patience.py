"""Waiting for a stranger's blocking code, but not for ever, and not in the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")


class Patience:
    """Runs calls in threads of their own, each waited for at most `limit_s`.

    A call that hangs keeps its thread, but holds up neither the event loop nor the end of the
    program. While `most_hanging` of them hang, no further call is begun.
    """

    def __init__(self, limit_s: float, most_hanging: int) -> None:
        self.limit_s = limit_s
        self._most_hanging = most_hanging
        self._abandoned: list[threading.Thread] = []

    async def run(self, call: Callable[[], _T]) -> _T:
        """Errors: TimeoutError; whatever `call` raises."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) >= self._most_hanging:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        context = contextvars.copy_context()  # OpenFeature keeps its transaction context there

        def settle(set_it: Callable[[Any], None], value: Any) -> None:
            if not future.done():
                set_it(value)

        def run() -> None:
            set_it: Callable[[Any], None]
            value: Any
            try:
                set_it, value = future.set_result, context.run(call)
            except Exception as error:
                set_it, value = future.set_exception, error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, set_it, value)

        thread = threading.Thread(target=run, name="drapto flags", daemon=True)
        thread.start()
        try:
            return await asyncio.wait_for(future, self.limit_s)
        finally:
            if not future.done() or future.cancelled():
                self._abandoned.append(thread)
