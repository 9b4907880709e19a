variable "name" {
  type = string
}

resource "terraform_data" "leaf" {
  input = var.name
}

output "name" {
  value = terraform_data.leaf.output
}
