output "address" {
  description = "Host and port at which the model answers on this machine. It asks for the secret."
  value       = slipway_service.endpoint.address
}

output "secret" {
  description = "Token the endpoint asks for. The portal adds it; no browser sees it."
  value       = slipway_service.endpoint.secret
  sensitive   = true
}

output "runtime_digest" {
  description = "Digest of the Python packages that the model runs in."
  value       = slipway_runtime.python.id
}
