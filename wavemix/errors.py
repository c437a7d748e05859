"""The errors a user can meet: each message says in one to three lines what is wrong, where, and what to do."""


class WaveMixError(Exception):
    """Anything wrong that the user can mend; programs print its message without a traceback."""


class ConfigError(WaveMixError):
    """params.yaml or a command-line override is wrong; the message names the YAML path."""


class DataError(WaveMixError):
    """A raw file, a shard, a manifest or a result file is missing, damaged or not what was promised."""


class CheckpointError(WaveMixError):
    """A checkpoint is missing, damaged or belongs to another run."""


class TrainingError(WaveMixError):
    """Training cannot go on: gradients are not finite, or the workers failed too often."""


class OutOfMemoryError(TrainingError):
    """A step, or the data on their way to it, needed more memory than there was."""


class WorkersError(TrainingError):
    """Workers failed more often than they are started again, or there was no room for them for too long."""


class GivenUpError(WaveMixError):
    """Another attempt of the same run has begun; whoever meets this ends, and the other goes on."""


class StoppedError(WaveMixError):
    """Training was asked to stop before its end, and has saved where it is; programs exit with 143, as of a SIGTERM."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, short enough to stand in a message of ours; its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
