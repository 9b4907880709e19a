# One version of a registered model, served on this machine by MLflow's scoring server, for whoever shows the secret.

locals {
  # Python modules laid over the runtime's site-packages: the server and its door.
  runtime_files = {
    for name in fileset("${path.module}/runtime/plugin", "**") : name => file("${path.module}/runtime/plugin/${name}")
    if !strcontains(name, "__pycache__")
  }
}

resource "slipway_volume" "model" {
  name = "model"
}

resource "slipway_runtime" "python" {
  requirements = try(var.slipway_runtime.requirements, file("${path.module}/runtime/requirements.lock"))
  python       = try(var.slipway_runtime.python, null)
  files        = local.runtime_files
}

resource "slipway_service" "endpoint" {
  name    = "endpoint"
  running = var.slipway.running

  command = [
    "{runtime}/bin/python", "-m", "slipway_endpoint",
    "--model-name", var.model_name,
    "--model-version", tostring(var.model_version),
    "--folder", "{volume}",
    "--request-s", tostring(var.request_timeout_s),
  ]
  volume  = slipway_volume.model.id
  runtime = slipway_runtime.python.id

  cpu       = var.cpu
  memory_mb = floor(var.memory_gb * 1024)

  # What Slipway sets comes last, so that nothing a person enters can take its place.
  environment = merge(var.environment_variables, {
    MLFLOW_TRACKING_URI      = var.slipway.mlflow_tracking_uri
    MLFLOW_DISABLE_TELEMETRY = "true"
    SLIPWAY_URL              = var.slipway.portal_url
    SLIPWAY_TEAM             = var.slipway.team
    SLIPWAY_OWNER            = var.slipway.owner
    SLIPWAY_ENVIRONMENT      = var.slipway.name
    SLIPWAY_ENVIRONMENT_ID   = var.slipway.environment_id
  })

  # Only fetches the model's files: it is taken away before any of the model's code runs.
  secret_environment = {
    MLFLOW_TRACKING_TOKEN = var.slipway_secrets.mlflow_tracking_token
  }

  health_path      = "/slipway/health"
  health_timeout_s = var.health_timeout_s
}
