"""Decides what the peak memory of a call is; does not know what is called.

Counted are the bytes that torch's allocator handed out during the call and had not got back: activations and what is
kept for the backward pass, gradients, workspaces (oneDNN takes its reordered copies and scratchpads there). Not counted
is what existed before: weights, buffers and inputs. Nor is what never passes the allocator: the interpreter, and the
packing buffers that a matrix library holds for itself.

On a CPU the bytes are summed over the profiler's record of every allocation and release, in order of time: exact and
the same in every run, where a resident-set size also holds what malloc keeps for later. On a GPU the caching
allocator's own high-water mark is the same sum.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

P = ParamSpec("P")
T = TypeVar("T")


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that a call holds at one time, on top of what was held before.

    Args:
        call: Run once; should have been run before, so that what is made once is not counted.
    """
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    assert record.profiler is not None
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def check_peak_bytes() -> None:
    """Two calls whose peak is known by hand.

    Raises:
        AssertionError: If `peak_bytes` finds anything else.
    """
    count = 2**20
    map_bytes = 4 * count
    device = "cuda" if torch.cuda.is_available() else "cpu"
    leaf = torch.linspace(-1, 1, count, device=device).requires_grad_()
    ones = torch.ones(count, device=device)

    def five_maps() -> None:
        first = torch.zeros(count, device=device)
        second = first + 1  # 2
        del first  # 1
        third = second * 2  # 2
        del second  # 1
        fourth = torch.empty(4 * count, device=device)  # 5
        del third, fourth

    def four_maps() -> None:
        # Both results are kept for the backward pass (2), and the outer one by the caller of `backward` as well. Then
        # ones * outer (3) and that times inner (4), which becomes the gradient.
        leaf.exp().exp().backward(ones)

    for call, maps in ((five_maps, 5), (four_maps, 4)):
        call()
        leaf.grad = None
        found = peak_bytes(call)
        assert found == maps * map_bytes, f"{call.__name__}: {found} bytes instead of {maps * map_bytes}"


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function of a module returns when it is called in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()
