"""botocore's own description of AWS Batch: what a request may contain, and how Batch refuses."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from dask_knot.errors import SubmissionError

if TYPE_CHECKING:
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

# botocore is imported inside the functions: it takes 0.1 s, and a cluster that has not yet
# submitted a job need not wait for it.

#: Parameters that would change what runs, of kinds of jobs that the local engine does not have.
UNSUPPORTED = (
    "nodeProperties",
    "nodeOverrides",
    "eksProperties",
    "eksPropertiesOverride",
    "ecsProperties",
    "ecsPropertiesOverride",
    "consumableResourceProperties",
    "consumableResourcePropertiesOverride",
)


@functools.cache
def service_model() -> ServiceModel:
    """Return botocore's model of AWS Batch; it is read once per process (20 ms)."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("batch", "service-2"))


@functools.cache
def _validator() -> ParamValidator:
    from botocore.validate import ParamValidator

    return ParamValidator()


def check_parameters(operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise ``botocore.exceptions.ParamValidationError`` where boto3 would, if that is installed.

    Parameters
    ----------
    operation
        The name in the service model, such as ``SubmitJob``.
    parameters
        The keyword arguments of the call.
    """
    try:
        from botocore.exceptions import ParamValidationError
    except ImportError:
        return  # a plain installation: tests hold our own requests to the model

    shape = service_model().operation_model(operation).input_shape
    assert shape is not None  # every call of Batch has parameters
    report = _validator().validate(parameters, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def refuse(operation: str, message: str) -> NoReturn:
    """Raise the ``ClientError`` with which Batch refuses a request that breaks a limit."""
    try:
        from botocore.exceptions import ClientError
    except ImportError:
        raise SubmissionError(f"{operation}: {message}") from None

    response: Any = {
        "Error": {"Code": "ClientException", "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    raise ClientError(response, operation)


def refuse_any(operation: str, reasons: Iterable[str]) -> None:
    """Refuse a request for the first of some reasons, if there is one."""
    for reason in reasons:
        refuse(operation, reason)


def refuse_other_kinds(operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what is no container job."""
    for name in UNSUPPORTED:
        if name in parameters:
            words = f"{name} is not known to the local engine, which runs container jobs only"
            refuse(operation, words)
