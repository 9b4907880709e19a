output "address" {
  description = "Where it listens."
  value       = slipway_service.talker.address
}

output "secret" {
  description = "What the portal sends along."
  value       = slipway_service.talker.secret
  sensitive   = true
}

output "password" {
  description = "Marked, so masked."
  value       = var.password
  sensitive   = true
}

output "copied" {
  description = "Not marked, and yet the same value."
  value       = terraform_data.unmarked.output
}
