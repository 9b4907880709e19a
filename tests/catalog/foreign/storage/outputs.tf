output "seen" {
  value = {
    buckets    = var.buckets
    replicas   = sort(tolist(var.replicas))
    encryption = var.encryption
    logging    = var.logging
  }
}
