variable "leaves" {
  description = "Names of leaves."
  type        = list(string)
  default     = ["first"]
}

module "branch" {
  source = "./modules/branch"

  names = var.leaves
}

module "leaf" {
  source   = "./modules/leaf"
  for_each = toset(var.leaves)

  name = each.value
}

moved {
  from = module.leaves
  to   = module.leaf
}

check "there_is_a_leaf" {
  assert {
    condition     = length(var.leaves) > 0
    error_message = "Without a leaf nothing is made."
  }
}

output "seen" {
  value = { leaves = var.leaves }
}

output "made" {
  value = concat(module.branch.names, [for leaf in module.leaf : leaf.name])
}
