"""What happens inside a job: ``python -m dask_knot.job STAGE-URL``. No client is known here."""
