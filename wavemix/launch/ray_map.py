"""Many calls of one function on a Ray cluster: as ``pool`` does it on one machine. It knows nothing of what they do.

Every node must see the folders that the function reads and writes under the same paths.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wavemix.errors import WaveMixError, first_line
from wavemix.launch.ray_session import ray_session

AHEAD = 2


def on_ray(address: str | None, *, num_cpus: int) -> Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]:
    """A function like ``map`` that gives the results in the order in which they come.

    Args:
        address: Of a running cluster; None starts a Ray here.
        num_cpus: Of a Ray that is started here.
    """

    def call(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        with ray_session(address, num_cpus=num_cpus):
            import ray  # noqa: PLC0415  (after its settings, which it reads when it is imported)

            slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
            remote, shared = ray.remote(num_cpus=1)(_call), ray.put(function)
            left, running = iter(arguments), list[Any]()
            try:
                while True:
                    for argument in left:
                        running.append(remote.remote(shared, argument))
                        if len(running) >= slots * AHEAD:
                            break
                    if not running:
                        return
                    done, running = ray.wait(running, num_returns=1)
                    yield ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                # The task's own error, as if it had happened here.
                raise (error.cause if isinstance(error.cause, WaveMixError) else error) from None
            except ray.exceptions.RayError as error:
                told = first_line(error)
                raise WaveMixError(f"a Ray task failed: {told}; what is done stays: run it again") from None
            finally:
                for task in running:
                    ray.cancel(task, force=True)

    return call


def _call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)
