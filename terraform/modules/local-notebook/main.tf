# A notebook on this machine: files that outlive a stop, a locked Python, and JupyterLab running in both.

locals {
  # Files a new volume starts with; a file the person already has is never overwritten.
  seed_files = {
    "welcome.ipynb" = file("${path.module}/files/welcome.ipynb")
    # Packages installed from a notebook live in the volume, because the runtime is shared and read-only.
    ".ipython/profile_default/startup/00-slipway-packages.py" = file("${path.module}/files/packages_startup.py")
    ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings" = jsonencode({
      checkForUpdates = false
      fetchNews       = "false"
    })
    ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings" = jsonencode({
      adaptive-theme = true
    })
  }

  # Python modules laid over the runtime's site-packages: the MLflow run context, and `import slipway`.
  runtime_files = {
    for name in fileset("${path.module}/runtime/plugin", "**") : name => file("${path.module}/runtime/plugin/${name}")
    if !strcontains(name, "__pycache__")
  }

  jupyterlab_command = [
    "{runtime}/bin/python", "-m", "jupyterlab",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port={port}",
    # Another port than the one the portal knows would be a notebook that nobody can reach.
    "--ServerApp.port_retries=0",
    "--ServerApp.open_browser=False",
    "--ServerApp.root_dir={volume}",
    "--ServerApp.base_url=/",
    # The portal's proxy passes the browser's Host on; the token, which it adds itself, is what admits a request.
    "--ServerApp.allow_remote_access=True",
    "--ServerApp.trust_xheaders=True",
    "--ServerApp.terminals_enabled=True",
    "--ServerApp.use_redirect_file=False",
    # Idle environments are the portal's affair: a kernel is never ended behind the person's back.
    "--MappingKernelManager.cull_idle_timeout=0",
    "--ServerApp.shutdown_no_activity_timeout=0",
    # Services of one machine share its loopback, on which a kernel's plain ports would let others read every output.
    "--KernelManager.transport_encryption=auto",
    # Not needed by JupyterLab, each costs start time.
    "--ServerApp.jpserver_extensions=jupyter_lsp=False",
    "--ServerApp.jpserver_extensions=notebook_shim=False",
    # Nothing is fetched from outside: no extension catalogue, no news, no search for updates.
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
  ]
}

resource "slipway_volume" "home" {
  name          = "home"
  repository    = var.repository
  revision      = var.revision
  size_limit_mb = var.disk_gb == null ? null : floor(var.disk_gb * 1024)
  files         = local.seed_files
}

resource "slipway_runtime" "python" {
  requirements = try(var.slipway_runtime.requirements, file("${path.module}/runtime/requirements.lock"))
  python       = try(var.slipway_runtime.python, null)
  files        = local.runtime_files
}

resource "slipway_service" "jupyterlab" {
  name    = "jupyterlab"
  running = var.slipway.running

  command = local.jupyterlab_command
  volume  = slipway_volume.home.id
  runtime = slipway_runtime.python.id

  cpu       = var.cpu
  memory_mb = floor(var.memory_gb * 1024)
  gpus      = var.gpus

  # What Slipway sets comes last, so that nothing a person enters can take its place.
  environment = merge(var.environment_variables, {
    MLFLOW_TRACKING_URI           = var.slipway.mlflow_tracking_uri
    MLFLOW_EXPERIMENT_NAME        = var.slipway.mlflow_experiment
    MLFLOW_DISABLE_TELEMETRY      = "true"
    GIT_PYTHON_REFRESH            = "quiet"
    SLIPWAY_URL                   = var.slipway.portal_url
    SLIPWAY_TEAM                  = var.slipway.team
    SLIPWAY_OWNER                 = var.slipway.owner
    SLIPWAY_ENVIRONMENT           = var.slipway.name
    SLIPWAY_ENVIRONMENT_ID        = var.slipway.environment_id
    PIP_PREFIX                    = "{volume}/.packages"
    PIP_DISABLE_PIP_VERSION_CHECK = "1"
    PIP_NO_WARN_SCRIPT_LOCATION   = "1"
  })

  secret_environment = merge(var.secret_variables, {
    MLFLOW_TRACKING_TOKEN = var.slipway_secrets.mlflow_tracking_token
    SLIPWAY_TOKEN         = var.slipway_secrets.mlflow_tracking_token
    JUPYTER_TOKEN         = "{secret}"
  })

  health_path      = "/api/status"
  health_timeout_s = var.health_timeout_s
}
