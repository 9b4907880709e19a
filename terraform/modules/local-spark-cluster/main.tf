# A Spark server on this machine: one supervised service that notebooks reach by Spark Connect.

locals {
  runtime_files = {
    for name in fileset("${path.module}/runtime/plugin", "**") : name => file("${path.module}/runtime/plugin/${name}")
    if !strcontains(name, "__pycache__")
  }

  memory_mb = floor(var.memory_gb * 1024)
}

resource "slipway_volume" "tables" {
  name = "tables"
}

resource "slipway_runtime" "spark" {
  requirements = file("${path.module}/runtime/spark.lock")
  files        = local.runtime_files
}

resource "slipway_service" "spark" {
  name    = "spark"
  running = var.slipway.running

  command = [
    "{runtime}/bin/python", "-m", "slipway_cluster.spark_cluster",
    "--cores", tostring(var.cores),
    "--memory-mb", tostring(local.memory_mb),
  ]
  volume  = slipway_volume.tables.id
  runtime = slipway_runtime.spark.id

  cpu       = var.cores
  memory_mb = local.memory_mb

  # No token of the owner is among them: whoever of the team connects runs code here, and could read it.
  environment = merge(var.environment_variables, {
    SLIPWAY_TEAM           = var.slipway.team
    SLIPWAY_OWNER          = var.slipway.owner
    SLIPWAY_ENVIRONMENT    = var.slipway.name
    SLIPWAY_ENVIRONMENT_ID = var.slipway.environment_id
    OMP_NUM_THREADS        = "1"
    OPENBLAS_NUM_THREADS   = "1"
  })

  health_path      = "/slipway/health"
  health_timeout_s = var.health_timeout_s
}
