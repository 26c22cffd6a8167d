"""What a larger batch gains in throughput and costs in latency, with several segments sharing it.

    python bench/batching.py [--seconds 2] [--lanes 4] [--device cpu|cuda]

The work is a stand-in, no model of Drapto's: a fixed part for each batch (launching kernels,
copying) and a part for each item. On the CPU that is a number of multiplications of small matrices
in NumPy; with `--device cuda`, the same in torch, with the copy there and back. Each lane puts in
pictures as fast as it may. Latency is from the moment a picture is offered, so the wait for room
in the lane is part of it. *Of the work alone*: throughput against calling the work directly with
batches of that size, measured in turn with it (A B A B).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import numpy as np

from drapto.infrastructure.gpu.batching import BatchLimits, DynamicBatcher

SIDE = 128  # of a picture and of the matrices
FIXED_PRODUCTS = 40  # for each batch
ITEM_PRODUCTS = 4  # for each item
BATCHES = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 3

Picture = np.ndarray[Any, np.dtype[np.float32]]
Work = Callable[[Sequence[Picture]], list[float]]


def numpy_work() -> Work:
    matrix = np.eye(SIDE, dtype=np.float32)

    def work(pictures: Sequence[Picture]) -> list[float]:
        for _ in range(FIXED_PRODUCTS):
            matrix @ matrix
        stack = np.stack(pictures)
        for _ in range(ITEM_PRODUCTS):
            stack = stack @ matrix
        return [float(mean) for mean in stack.mean(axis=(1, 2))]

    return work


def torch_work(device: str) -> tuple[Work, str]:
    import torch  # of the extra `drapto[gpu]`

    matrix = torch.eye(SIDE, device=device)

    def work(pictures: Sequence[Picture]) -> list[float]:
        for _ in range(FIXED_PRODUCTS):
            matrix @ matrix
        stack = torch.from_numpy(np.stack(pictures)).to(device)
        for _ in range(ITEM_PRODUCTS):
            stack = stack @ matrix
        return [float(mean) for mean in stack.mean(dim=(1, 2)).cpu()]

    return work, str(torch.cuda.get_device_name(device))


async def batched(work: Work, size: int, lanes: int, seconds: float) -> tuple[float, list[float]]:
    """Items per second, and the seconds that each was on its way."""
    picture = np.ones((SIDE, SIDE), np.float32)
    queued = max(1, -(-2 * size // lanes))  # two batches over all lanes
    limits = BatchLimits(size, size * picture.nbytes, longest_wait_s=0.02, most_queued=queued)
    ways_s: list[float] = []
    started_s = time.perf_counter()

    async def segment(shared: DynamicBatcher[Picture, float]) -> None:
        offered_s: list[float] = []

        async def pictures() -> AsyncIterator[Picture]:
            while time.perf_counter() - started_s < seconds:
                offered_s.append(time.perf_counter())
                yield picture

        async with shared.results_of(pictures()) as results:
            taken = 0
            async for _ in results:
                ways_s.append(time.perf_counter() - offered_s[taken])
                taken += 1

    async with (
        DynamicBatcher(work, limits, bytes_of=lambda picture: int(picture.nbytes)) as shared,
        anyio.create_task_group() as group,
    ):
        for _ in range(lanes):
            group.start_soon(segment, shared)
    return len(ways_s) / (time.perf_counter() - started_s), ways_s


def alone(work: Work, size: int, seconds: float) -> float:
    """Items per second of the work itself."""
    pictures = [np.ones((SIDE, SIDE), np.float32)] * size
    items, started_s = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - started_s) < seconds:
        items += len(work(pictures))
    return items / passed_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2, help="per batch size, in all")
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    if chosen.device == "cpu":
        work, name = numpy_work(), f"{platform.processor() or platform.machine()}, NumPy"
    else:
        work, name = torch_work(chosen.device)
    print(f"{name}; {os.cpu_count()} cores; {chosen.lanes} lanes")
    print(f"stand-in work: {FIXED_PRODUCTS} products a batch, {ITEM_PRODUCTS} an item\n")
    print("batch    items/s   against 1   of the work alone   median ms   p95 ms")
    work([np.ones((SIDE, SIDE), np.float32)])  # warms up
    run_s = chosen.seconds / (2 * ROUNDS)
    first = 0.0
    for size in BATCHES:
        rates, ratios, ways_s = [], [], list[float]()
        for _ in range(ROUNDS):
            rate, ways = anyio.run(batched, work, size, chosen.lanes, run_s)
            rates.append(rate)
            ratios.append(rate / alone(work, size, run_s))
            ways_s += ways
        rate = statistics.median(rates)
        first = first or rate
        median_ms, p95_ms = (float(q) * 1000 for q in np.quantile(ways_s, (0.5, 0.95)))
        print(
            f"{size:5} {rate:10.0f} {rate / first:10.2f} x {statistics.median(ratios):16.2f} x"
            f" {median_ms:11.2f} {p95_ms:8.2f}"
        )


if __name__ == "__main__":
    main()
