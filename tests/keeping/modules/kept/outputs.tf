output "address" {
  description = "Where the server listens."
  value       = slipway_service.app.address
}

output "secret" {
  description = "The token it asks for."
  value       = slipway_service.app.secret
  sensitive   = true
}
