"""Every exception of dask_knot's own that a user may meet, by who can fix it.

KnotError
├── AwsError                          AWS refused something, or can't be reached
│   ├── AccessError                   a permission is missing: the message names the action
│   ├── CredentialsError              no credentials, or they have expired or are wrong
│   ├── QuotaError                    a quota of the account is used up
│   ├── StackError                    the stack is missing, broken, or could not be made
│   └── UnreachableError              AWS can't be reached, or is too busy: try again later
├── BudgetError                       work would cost more than `max-cost`
├── ClientMemoryError (MemoryError)   values don't fit into the memory of this process
├── ConfigurationError (ValueError)   a wrong setting: the message names the valid ones
├── EngineError                       the engine can't be used here
├── ImageError                        the image of the jobs can't be built, pushed or found
│   └── PackagesError                 packages that are here can't go into an image
├── InternalError                     dask_knot itself made a mistake
├── ItemsError (TypeError)            the function of a map can't take an item
├── LiveWorkerError (AttributeError)  something needs a live Dask worker
├── MissingExtraError (ImportError)   an extra isn't installed: the message names it
├── PlanningError                     a graph that can't be cut into shards
│   ├── UnknownInputError             a task reads a key that no task makes
│   └── UnsupportedGraphError         a graph that needs live workers (P2P shuffle, actors)
├── SubmissionError                   a job could not be handed to Batch
│   └── PicklingError (TypeError)     a task can't be sent to a job
├── PriceError                        a price isn't known, or AWS can't be asked
│   └── PriceFileError                a file of prices is damaged, or of another version
├── StoreError                        the store can't be read or written
│   ├── MissingObjectError            an object is gone
│   ├── StoreAccessError              S3 refuses: a permission is missing
│   ├── StoreAwayError                S3 can't be reached, or the credentials have expired
│   ├── StoreGoneError                the whole store is gone, perhaps with its stack
│   ├── CorruptObjectError            an object is not what was written
│   ├── ReadOnlyStoreError            the store can be read, but not written
│   └── RunError                      a named run can't be opened or used
│       ├── RunNameError              something else has that name
│       ├── RunFormatError            another version of dask_knot made it
│       └── RunDeletedError           it was deleted in the meantime
└── JobError                          a job ended without saying what its tasks did
    ├── KilledTaskError               a task ended its process (exit, signal)
    ├── JobMemoryError (MemoryError)  a task needed more memory than its job may have
    ├── NotLoadedError (RuntimeError)  tasks can't be unpickled, here or in a job
    ├── JobTimeoutError (TimeoutError)  a job ran longer than it's allowed to
    ├── PluginError                   a worker plugin failed to set up a job
    ├── JobStartError                 the job never started (image, resources, queue)
    │   └── VersionsError             the job's image has other versions than the client
    └── JobTerminatedError            somebody terminated the job

A few others are caught inside the room that raises them, or reach users as the cause of one of
these: of a circle in a graph, of an attempt that came second, of a mistake in the tracker. They
stand where they are raised.
"""

from __future__ import annotations


class KnotError(Exception):
    """The root of all errors that dask_knot raises."""


class AwsError(KnotError):
    """AWS refused something, or can't be reached."""


class AccessError(AwsError):
    """The credentials lack a permission; the message names the action."""


class CredentialsError(AwsError):
    """There are no AWS credentials, or they have expired or are wrong."""


class QuotaError(AwsError):
    """A quota of the AWS account is used up."""


class StackError(AwsError):
    """A stack is missing or broken, or CloudFormation could not make, change or delete it."""


class UnreachableError(AwsError):
    """AWS can't be reached, or is too busy to answer. What is running there continues."""


class BudgetError(KnotError):
    """Work would cost more than `max-cost`. It wasn't submitted, and no result is lost."""


class ClientMemoryError(KnotError, MemoryError):
    """Values don't fit into the memory of this process. They stay in the store."""


class ConfigurationError(KnotError, ValueError):
    """A setting is unknown or has a wrong value; the message names the valid ones."""


class EngineError(KnotError):
    """The engine can't be used on this machine or failed to start."""


class ImageError(KnotError):
    """The image of the jobs can't be built, pushed or found."""


class PackagesError(ImageError):
    """Installed packages can't go into an image. The message names each of them, with a fix."""


class MissingExtraError(KnotError, ImportError):
    """An extra is needed that isn't installed. The message says what to install."""


class InternalError(KnotError):
    """dask_knot itself made a mistake. Please report it, with the message."""

    @classmethod
    def of(cls, error: BaseException) -> KnotError:
        """Wrap an exception that should never have been raised; a KnotError stays as it is."""
        if isinstance(error, KnotError):
            return error
        made = cls(f"dask_knot made a mistake, please report it: {error!r}")
        made.__cause__ = error
        return made


class ItemsError(KnotError, TypeError):
    """The function of a `Knot`'s map can't take an item, or the items couldn't be read."""


class LiveWorkerError(KnotError, AttributeError):
    """A task, plugin or client used something that only a live Dask worker or its nanny has."""


class PlanningError(KnotError):
    """A graph can't be cut into shards."""


class UnknownInputError(PlanningError):
    """A task reads a key that neither this graph nor an earlier one makes."""


class UnsupportedGraphError(PlanningError):
    """A graph needs live Dask workers, and jobs aren't workers."""


class SubmissionError(KnotError):
    """A job could not be handed to Batch."""


class PicklingError(SubmissionError, TypeError):
    """A task can't be pickled, so it can't be sent to a job."""


class PriceError(KnotError):
    """A price isn't known here, or AWS can't be asked for it."""


class PriceFileError(PriceError):
    """A file of prices is damaged, or was written by another version of dask_knot."""


class StoreError(KnotError):
    """The store can't be read or written."""


class MissingObjectError(StoreError):
    """An object that should be in the store is not there."""


class StoreAccessError(StoreError):
    """S3 refuses because a permission is missing. Trying again won't help."""


class StoreAwayError(StoreError):
    """S3 can't be reached, or the credentials have expired. Nothing in the store is lost."""


class StoreGoneError(StoreError):
    """The store itself is gone. Its bucket was deleted, perhaps with its stack."""


class CorruptObjectError(StoreError):
    """An object in the store isn't what was written. Its checksum or format is wrong."""


class ReadOnlyStoreError(StoreError):
    """The store refused to write or delete something. Its contents may still be readable."""


class RunError(StoreError):
    """A named run can't be opened, or can't be used any longer."""


class RunNameError(RunError):
    """Something else in the store has the name of a run, or only the remains of a run are left."""


class RunFormatError(RunError):
    """A run, or an object of it, was written by another version of dask_knot."""


class RunDeletedError(RunError):
    """A run was deleted while it was in use."""


class JobError(KnotError):
    """A job ended without saying what its tasks did.

    Attributes
    ----------
    job_id : str
        The Batch id of the job or child.
    reason : str
        What Batch gave as the reason.
    log : tuple of str
        The last lines of the job's log.
    """

    def __init__(
        self, message: str, job_id: str = "", reason: str = "", log: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.reason = reason
        self.log = log

    def __reduce__(self) -> tuple[type[JobError], tuple[object, ...]]:
        return type(self), (self.args[0], self.job_id, self.reason, self.log)


class KilledTaskError(JobError):
    """A task ended the process it ran in, by an exit, a signal or a crash of the interpreter."""


class NotLoadedError(JobError, RuntimeError):
    """Tasks couldn't be unpickled, because something they need is missing or raises an error.

    Dask's scheduler raises a RuntimeError for graphs of which it can't unpickle something.
    """


class JobMemoryError(JobError, MemoryError):
    """A task needed more memory than its job may have."""


class JobTimeoutError(JobError, TimeoutError):
    """A job ran longer than it's allowed to."""


class PluginError(JobError):
    """A worker plugin failed to set up a job. The message names the plugin and the cause."""


class JobStartError(JobError):
    """A job never started, because of its image, its resources or its queue."""


class VersionsError(JobStartError):
    """A job's image has other versions of Python or of packages than the client."""


class JobTerminatedError(JobError):
    """A job was stopped from outside, by a person or another program."""
