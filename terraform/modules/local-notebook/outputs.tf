output "address" {
  description = "Host and port at which JupyterLab listens on this machine."
  value       = slipway_service.jupyterlab.address
}

output "secret" {
  description = "Token JupyterLab asks for. The portal's proxy adds it; no browser sees it."
  value       = slipway_service.jupyterlab.secret
  sensitive   = true
}

output "runtime_digest" {
  description = "Digest of the Python packages: two notebooks with the same digest run the same code."
  value       = slipway_runtime.python.id
}

output "volume_path" {
  description = "Directory on this machine that holds the files."
  value       = slipway_volume.home.path
}
