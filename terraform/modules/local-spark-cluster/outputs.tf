output "address" {
  description = "Host and port of Spark's pages on this machine. They ask for the secret."
  value       = slipway_service.spark.address
}

output "secret" {
  description = "Token they ask for. The portal's proxy adds it; no browser sees it."
  value       = slipway_service.spark.secret
  sensitive   = true
}

output "runtime_digest" {
  description = "Digest of the packages, Spark and Java among them."
  value       = slipway_runtime.spark.id
}
