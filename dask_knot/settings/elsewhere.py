"""What settings are called by other clusters: who knows one of those is told ours."""

from __future__ import annotations

from collections.abc import Mapping

#: Names of LocalCluster, dask-jobqueue, Coiled, dask-cloudprovider, Lithops and Cloudknot, and what
#: means the same here.
MEANT: Mapping[str, str] = {
    # How many jobs.
    **dict.fromkeys(("n_workers", "workers", "num_workers", "nworkers"), "jobs"),
    **dict.fromkeys(("maximum_jobs", "max_workers", "max_jobs", "n_jobs", "njobs"), "jobs"),
    # What each has.
    **dict.fromkeys(("vcpus", "vcpu", "cpus", "cpu", "ncpus", "n_cpus", "num_cpus"), "cores"),
    **dict.fromkeys(("threads_per_worker", "nthreads", "threads", "ncores", "n_cores"), "cores"),
    **dict.fromkeys(("worker_cpu", "worker_cpus", "cpu_limit", "job_def_vcpus"), "cores"),
    **dict.fromkeys(("mem", "ram", "memory_limit", "worker_memory", "worker_mem"), "memory"),
    **dict.fromkeys(("runtime_memory", "memory_per_worker", "mem_per_worker"), "memory"),
    **dict.fromkeys(("gpu", "n_gpus", "ngpus", "num_gpus", "worker_gpu"), "gpus"),
    **dict.fromkeys(("nanny", "nprocs", "n_processes", "use_processes"), "processes"),
    # How long, and how often.
    **dict.fromkeys(("walltime", "runtime_timeout", "execution_timeout", "time"), "timeout"),
    **dict.fromkeys(("wait_for_workers", "death_timeout"), "start_timeout"),
    **dict.fromkeys(("retries", "max_retries", "allowed_failures"), "attempts"),
    **dict.fromkeys(("cost_limit", "budget", "max_budget"), "max_cost"),
    # Where.
    **dict.fromkeys(("local_directory", "storage", "bucket", "temp_folder"), "store"),
    **dict.fromkeys(("env", "environ", "environment_variables", "env_extra"), "environment"),
    **dict.fromkeys(("extra_env_vars", "job_script_prologue"), "environment"),
    **dict.fromkeys(("backend", "provider", "cluster_type"), "engine"),
    **dict.fromkeys(("dashboard_port", "diagnostics_port"), "dashboard_address"),
    **dict.fromkeys(("ip", "interface", "scheduler_host"), "host"),
    **dict.fromkeys(("cluster_name", "job_name", "run"), "name"),
    # On AWS, and in containers.
    **dict.fromkeys(("region_name", "aws_region", "zone", "location"), "region"),
    **dict.fromkeys(("partition", "job_queue", "job_queue_name"), "queue"),
    **dict.fromkeys(("docker_image", "runtime", "software", "container_image"), "image"),
    **dict.fromkeys(("task_role_arn", "execution_role", "iam_role", "role"), "job_role"),
    **dict.fromkeys(("aws_profile", "profile_name"), "profile"),
    **dict.fromkeys(("cloudformation_stack", "stack_name"), "stack"),
}
