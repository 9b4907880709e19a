# A Dask cluster on this machine: a scheduler and its workers as one supervised service, within one limit.

locals {
  # Python modules laid over the runtime's site-packages. The same as the notebook's, so that both share one environment.
  runtime_files = {
    for name in fileset("${path.module}/runtime/plugin", "**") : name => file("${path.module}/runtime/plugin/${name}")
    if !strcontains(name, "__pycache__")
  }

  worker_memory_mb    = floor(var.worker_memory_gb * 1024)
  scheduler_memory_mb = 512
  scheduler_cpu       = 0.5
}

resource "slipway_volume" "scratch" {
  name = "scratch"
}

resource "slipway_runtime" "python" {
  requirements = try(var.slipway_runtime.requirements, file("${path.module}/runtime/requirements.lock"))
  python       = try(var.slipway_runtime.python, null)
  files        = local.runtime_files
}

resource "slipway_service" "dask" {
  name    = "dask"
  running = var.slipway.running

  command = [
    "{runtime}/bin/python", "-m", "slipway_cluster.dask_cluster",
    "--minimum", tostring(var.workers_minimum),
    "--maximum", tostring(var.workers_maximum),
    "--cores", tostring(var.worker_cores),
    "--memory-mb", tostring(local.worker_memory_mb),
    "--idle-s", tostring(floor(var.worker_idle_minutes * 60)),
  ]
  volume  = slipway_volume.scratch.id
  runtime = slipway_runtime.python.id

  # What all workers together may use, and the scheduler besides: no more than is promised to anybody.
  cpu       = var.workers_maximum * var.worker_cores + local.scheduler_cpu
  memory_mb = var.workers_maximum * local.worker_memory_mb + local.scheduler_memory_mb

  # No token of the owner is among them: whoever of the team connects runs code here, and could read it.
  environment = merge(var.environment_variables, {
    SLIPWAY_TEAM           = var.slipway.team
    SLIPWAY_OWNER          = var.slipway.owner
    SLIPWAY_ENVIRONMENT    = var.slipway.name
    SLIPWAY_ENVIRONMENT_ID = var.slipway.environment_id
    # One thread of a worker is one core: libraries that start as many as the machine has would slow each other down.
    OMP_NUM_THREADS      = "1"
    OPENBLAS_NUM_THREADS = "1"
    MKL_NUM_THREADS      = "1"
  })

  health_path      = "/slipway/health"
  health_timeout_s = var.health_timeout_s
}
