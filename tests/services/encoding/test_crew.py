"""How many encoders are left after memory ran out."""

from __future__ import annotations

import anyio

from drapto.services.encoding.crew import Crew


async def test_crew_that_is_too_big_is_halved_down_to_one() -> None:
    crew = Crew(5)
    sizes = []
    while crew.too_big(crew.size):
        sizes.append(crew.size)
    assert sizes == [2, 1]


async def test_crew_that_was_only_suspected_is_as_big_as_before_and_those_who_wait_get_in() -> None:
    crew = Crew(8)
    crew.too_big(8)
    crew.too_big(4, proven=False)
    crew.too_big(2, proven=False)
    began: list[int] = []

    async def work() -> None:
        async with crew.place() as size:
            began.append(size)

    async with crew.place(), anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        assert began == []
        crew.acquit()
        await anyio.wait_all_tasks_blocked()
        assert began == [4]


async def test_encoders_of_the_bigger_crew_that_die_later_change_nothing_more() -> None:
    crew = Crew(8)
    assert crew.too_big(8)
    assert crew.too_big(8)
    assert crew.too_big(8)
    assert crew.size == 4


async def test_nobody_gets_a_place_before_the_crew_is_as_small_as_it_has_to_be() -> None:
    crew = Crew(2)
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with crew.place():
            inside.append(number)
            most = max(most, len(inside))
            await anyio.sleep(0)
            inside.remove(number)

    async with crew.place() as size, anyio.create_task_group() as group:
        assert crew.too_big(size)
        for number in range(4):
            group.start_soon(work, number)
        await anyio.sleep(0)
        assert inside == []
        group.cancel_scope.cancel()
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(work, number)
    assert most == 1


async def test_place_of_one_that_died_is_not_given_on_in_a_crew_that_is_now_smaller() -> None:
    crew = Crew(2)
    began: list[int] = []
    end = anyio.Event()

    async def work() -> None:
        async with crew.place() as size:
            began.append(size)
            await end.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        async with crew.place() as size:
            group.start_soon(work)  # waits for a place
            await anyio.wait_all_tasks_blocked()
        assert crew.too_big(size)
        await anyio.wait_all_tasks_blocked()
        assert began == [2]
        end.set()
    assert began == [2, 1]
