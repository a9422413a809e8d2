"""Exit codes of the program inside a job, for Batch and for whoever explains them."""

from __future__ import annotations

#: The store could not be read or written: nothing is lost, another attempt may succeed.
NOT_RUN = 75  # EX_TEMPFAIL of sysexits.h
#: The tasks could not be unpickled: something that they need isn't installed where jobs run.
NOT_LOADED = 78  # EX_CONFIG of sysexits.h
#: The client has other versions than the image of the job: no task was looked at.
OTHER_VERSIONS = 76  # EX_PROTOCOL of sysexits.h
#: A worker plugin could not set the job up: no task was looked at.
NOT_SET_UP = 70  # EX_SOFTWARE of sysexits.h
