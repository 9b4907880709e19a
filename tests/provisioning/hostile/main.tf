# Does what a module must not, as its inputs say.

locals {
  # Five hundred million steps: an expression that Terraform does not finish, and cannot be asked to leave. (Both sides
  # of a conditional are worked out, so it is the length that is conditional.)
  many    = range(var.endless ? 800 : 1)
  endless = sum([for a in local.many : sum([for b in local.many : sum([for c in local.many : c])])])

  kb   = join("", [for i in range(64) : "0123456789abcdef"])
  mb   = join("", [for i in range(1024) : local.kb])
  bomb = join("", [for i in range(var.bomb ? 1000 : 0) : "${i}${local.mb}"])
}

resource "terraform_data" "held" {
  input = "kept"
}

resource "terraform_data" "work" {
  triggers_replace = [var.command]

  provisioner "local-exec" {
    command = var.command
  }

  depends_on = [terraform_data.held]
}

resource "terraform_data" "huge" {
  count = var.huge_mb > 0 ? 1 : 0
  input = join("", [for i in range(var.huge_mb) : local.mb])
}

output "bomb" {
  description = "Never there."
  value       = length(local.bomb) + local.endless
}

output "huge" {
  description = "More than anybody can read."
  value       = one(terraform_data.huge[*].output)
}
