resource "slipway_volume" "home" {
  name  = "home"
  files = { "server.py" = file("${path.module}/files/server.py") }
}

# No packages, so that it is built in a second; the interpreter in it is what has to be there again.
resource "slipway_runtime" "python" {
  requirements = "# nothing\n"
}

resource "slipway_service" "app" {
  name    = "app"
  running = var.slipway.running
  command = ["{runtime}/bin/python", "server.py"]
  volume  = slipway_volume.home.id
  runtime = slipway_runtime.python.id

  environment        = { MESSAGE = "hello", HEALTH_S = "0", STOP_S = "0" }
  secret_environment = { CANARY = var.canary }

  memory_mb        = 256
  health_path      = "/"
  health_timeout_s = 60
}
