variable "names" {
  type = list(string)
}

module "leaf" {
  source = "../leaf"
  count  = length(var.names)

  name = var.names[count.index]
}

output "names" {
  value = module.leaf[*].name
}
