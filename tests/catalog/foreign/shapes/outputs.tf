output "seen" {
  value = {
    pair    = var.pair
    matrix  = var.matrix
    ports   = var.ports
    members = tolist(var.members)
    flags   = var.flags
    mixed   = var.mixed
  }
}
