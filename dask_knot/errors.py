"""Every exception of dask_knot's own that a user may meet, by who can mend it.

KnotError
├── AwsError                          AWS refused something, or can't be reached
│   ├── AccessError                   a permission is missing: the message names the action
│   ├── CredentialsError              no credentials, or they have expired or are wrong
│   ├── QuotaError                    a quota of the account is used up
│   ├── StackError                    the stack is missing, broken, or could not be made
│   └── UnreachableError              AWS can't be reached, or is too busy: it may be back soon
├── BudgetError                       work costs more than it may (`max-cost`)
├── ClientMemoryError (MemoryError)   values don't fit into the memory of whoever gathers them
├── ConfigurationError (ValueError)   a wrong setting: the message names the valid ones
├── EngineError                       the engine can't be used here
├── ImageError                        the image of the jobs can't be built, pushed or found
│   └── PackagesError                 packages that are here can't go into an image
├── InternalError                     dask_knot itself made a mistake
├── ItemsError (TypeError)         items that the function of a map can't take, or that end early
├── LiveWorkerError (AttributeError)  a live Dask worker was used, or what only such a one has
├── MissingExtraError (ImportError)   a part of dask_knot that isn't installed here is needed
├── PlanningError                     a graph that can't be cut into shards
│   ├── UnknownInputError             a task reads a key that nobody makes
│   └── UnsupportedGraphError         a graph that needs live workers (P2P shuffle, actors)
├── SubmissionError                   a job could not be handed to Batch
│   └── PicklingError (TypeError)     a task can't be sent to a job
├── PriceError                        what something costs isn't known, or can't be asked
│   └── PriceFileError                a file of prices is damaged, or of another version
├── StoreError                        the store can't be read or written
│   ├── MissingObjectError            an object is gone
│   ├── StoreAccessError              S3 refuses somebody who lacks a permission
│   ├── StoreAwayError                S3 can't be reached, or the credentials have ended
│   ├── StoreGoneError                the whole store is gone, as with its stack
│   ├── CorruptObjectError            an object is not what was written
│   ├── ReadOnlyStoreError            the store can be read, but not written
│   └── RunError                      a named run can't be opened, or used on
│       ├── RunNameError              what has its name is something else
│       ├── RunFormatError            another version of dask_knot has made it
│       └── RunDeletedError           somebody has deleted it meanwhile
└── JobError                          a job ended without saying what its tasks did
    ├── KilledTaskError               a task ended its process (exit, signal)
    ├── JobMemoryError (MemoryError)  a task needed more memory than its job may use
    ├── NotLoadedError (RuntimeError)  tasks can't be unpickled, here or in a job
    ├── JobTimeoutError (TimeoutError)  a job ran longer than it may
    ├── PluginError                   a plugin could not set up a job
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
    """AWS can't be reached, or is too busy to answer: what runs there goes on meanwhile."""


class BudgetError(KnotError):
    """Work costs more than `max-cost`: it was not submitted, and nothing computed is lost."""


class ClientMemoryError(KnotError, MemoryError):
    """Values don't fit into the memory of the process that gathers them; they stay in the store."""


class ConfigurationError(KnotError, ValueError):
    """A setting is unknown or has a wrong value; the message names the valid ones."""


class EngineError(KnotError):
    """The engine can't be used on this machine or failed to start."""


class ImageError(KnotError):
    """The image of the jobs can't be built, pushed or found."""


class PackagesError(ImageError):
    """Packages that are here can't go into an image: all of them are named, each with its cure."""


class MissingExtraError(KnotError, ImportError):
    """A part that a plain installation leaves out is needed; the message says what to install."""


class InternalError(KnotError):
    """dask_knot itself made a mistake: the message says which, for a report."""

    @classmethod
    def of(cls, error: BaseException) -> KnotError:
        """Put a name to what should never have been raised; an error that has one keeps it."""
        if isinstance(error, KnotError):
            return error
        made = cls(f"dask_knot made a mistake, please report it: {error!r}")
        made.__cause__ = error
        return made


class ItemsError(KnotError, TypeError):
    """Items of a `Knot`'s map are such that its function can't take them, or could not be read."""


class LiveWorkerError(KnotError, AttributeError):
    """A task, a plugin or the client used a live Dask worker, or what only it or its nanny has."""


class PlanningError(KnotError):
    """A graph can't be cut into shards."""


class UnknownInputError(PlanningError):
    """A task reads a key that no task of the graph and no earlier graph makes."""


class UnsupportedGraphError(PlanningError):
    """A graph needs live Dask workers, which jobs are not."""


class SubmissionError(KnotError):
    """A job could not be handed to Batch."""


class PicklingError(SubmissionError, TypeError):
    """A task can't be pickled, so it can't be sent to a job."""


class PriceError(KnotError):
    """What something costs isn't known here, or AWS can't be asked."""


class PriceFileError(PriceError):
    """A file of prices is damaged, or was written by another version of dask_knot."""


class StoreError(KnotError):
    """The store can't be read or written."""


class MissingObjectError(StoreError):
    """An object that should be in the store is not there."""


class StoreAccessError(StoreError):
    """S3 refuses somebody who lacks a permission: a moment later it won't be different."""


class StoreAwayError(StoreError):
    """S3 can't be reached, or the credentials have ended: what is in it is there nevertheless."""


class StoreGoneError(StoreError):
    """The store itself is gone: its bucket was deleted, perhaps with its stack."""


class CorruptObjectError(StoreError):
    """An object in the store is not what was written: its checksum or format is wrong."""


class ReadOnlyStoreError(StoreError):
    """The store refused to write or delete something: what is in it may be readable still."""


class RunError(StoreError):
    """A named run can't be opened, or can't be used any longer."""


class RunNameError(RunError):
    """What is in the store under the name of a run is something else, or the rest of a run."""


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
    """A task ended the process it ran in: an exit, a signal, a crash of the interpreter."""


class NotLoadedError(JobError, RuntimeError):
    """Tasks could not be unpickled: what they need is missing where that is tried, or raises.

    Dask's scheduler raises a RuntimeError for graphs of which it can't unpickle something.
    """


class JobMemoryError(JobError, MemoryError):
    """A task needed more memory than its job may use."""


class JobTimeoutError(JobError, TimeoutError):
    """A job ran longer than it may."""


class PluginError(JobError):
    """A worker plugin could not set up a job; the message names the plugin and the cause."""


class JobStartError(JobError):
    """A job never started: its image, its resources or its queue are at fault."""


class VersionsError(JobStartError):
    """A job's image has other versions of Python or of packages than the client."""


class JobTerminatedError(JobError):
    """A job was terminated from outside, by a person or another program."""
