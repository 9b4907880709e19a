resource "slipway_volume" "home" {
  name  = "home"
  files = { "server.py" = file("${path.module}/files/server.py") }
}

# Destroyed after the service: nothing depends on how long it took.
resource "terraform_data" "build" {
  provisioner "local-exec" {
    command = "sleep ${var.build_s}"
  }
}

resource "slipway_service" "app" {
  name    = "app"
  running = var.slipway.running
  command = [var.python, "server.py"]
  volume  = slipway_volume.home.id

  environment = {
    MESSAGE  = var.message
    HEALTH_S = tostring(var.health_s)
    STOP_S   = tostring(var.stop_s)
  }

  memory_mb        = 256
  health_path      = "/"
  health_timeout_s = 60

  depends_on = [terraform_data.build]
}

# Last of a launch, so that an apply can be caught when all but its end is done.
resource "terraform_data" "settle" {
  count = var.settle_s > 0 ? 1 : 0
  input = slipway_service.app.id

  provisioner "local-exec" {
    command = "sleep ${var.settle_s}"
  }
}

resource "terraform_data" "leaving" {
  input = var.destroy_s

  provisioner "local-exec" {
    when    = destroy
    command = "sleep ${self.input}"
  }

  depends_on = [slipway_service.app]
}
