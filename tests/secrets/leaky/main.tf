# A module as careless as one can be: it copies its password about, and its program prints all it knows.

resource "slipway_volume" "files" {
  name       = "files"
  repository = var.repository
}

resource "slipway_runtime" "python" {
  requirements = "# none"
}

# Marked by Terraform, since the variable is.
resource "terraform_data" "marked" {
  input = var.password
}

# Marked by nobody: a provider that copies a value into another attribute looks like this.
resource "terraform_data" "unmarked" {
  input = "password=${nonsensitive(var.password)}"
}

# Says what variable sets gave: to the log, and to the state.
resource "terraform_data" "given" {
  input = "account=${var.account_key}"

  provisioner "local-exec" {
    command = "echo key $CLOUD_KEY; printf 'user:%s' \"$CLOUD_KEY\" | base64 -w0; echo; cat \"$CLOUD_CREDENTIALS_FILE\""
  }
}

resource "slipway_service" "talker" {
  name        = "talker"
  running     = var.slipway.running
  volume      = slipway_volume.files.id
  runtime     = slipway_runtime.python.id
  command     = ["{runtime}/bin/python", "-u", "-c", file("${path.module}/talker.py")]
  environment = { PORT = "{port}", FAILS = tostring(var.fails) }
  secret_environment = {
    PASSWORD = var.password
    TRACKING = var.slipway_secrets.mlflow_tracking_token
    TOKEN    = "{secret}"
    KEY      = var.key
  }
  health_path      = "/"
  health_timeout_s = 30
}
