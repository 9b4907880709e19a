variable "name" {}

variable "region" {
  default = "eu-west-1"
}

variable "zones" {
  type    = list(any)
  default = ["a", "b"]
}

variable "labels" {
  type    = map(any)
  default = {}
}

variable "anything" {
  default = null
}

output "seen" {
  value = { name = var.name, region = var.region, zones = var.zones, labels = var.labels, anything = var.anything }
}
