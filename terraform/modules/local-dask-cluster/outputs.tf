output "address" {
  description = "Host and port of the dashboard on this machine. It asks for the secret."
  value       = slipway_service.dask.address
}

output "secret" {
  description = "Token the dashboard asks for. The portal's proxy adds it; no browser sees it."
  value       = slipway_service.dask.secret
  sensitive   = true
}

output "runtime_digest" {
  description = "Digest of the Python packages: a notebook with the same digest runs the same versions."
  value       = slipway_runtime.python.id
}
