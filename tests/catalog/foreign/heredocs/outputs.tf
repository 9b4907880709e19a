output "seen" {
  description = <<-EOT
    Several
    lines.
  EOT
  value       = { rules = var.rules, script = var.script, cloud_init = var.cloud_init }
}
