# Tells everybody what Terraform was given, as carelessly as a module can.

resource "terraform_data" "account" {
  input = var.account
}

resource "terraform_data" "secret" {
  input = "key=${var.api_key}"
}

resource "terraform_data" "tells" {
  triggers_replace = [var.round]

  provisioner "local-exec" {
    command = <<-EOT
      echo "environment: $CLOUD_KEY region $CLOUD_REGION"
      echo "base64: $(printf '%s' "user:$CLOUD_KEY" | base64 -w0)"
      echo "file: $(cat "$CLOUD_CREDENTIALS_FILE")"
      echo "mode: $(stat -c %a "$CLOUD_CREDENTIALS_FILE")"
      (echo x >> "$CLOUD_CREDENTIALS_FILE") 2>/dev/null && echo "file was changed" || echo "file is read-only"
      echo "value: ${var.api_key}"
      ${var.command}
    EOT
  }
}
