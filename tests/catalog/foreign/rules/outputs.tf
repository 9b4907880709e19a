output "seen" {
  value = { environment = var.environment, cidr = var.cidr, minimum = var.minimum, maximum = var.maximum, owners = var.owners }
}
