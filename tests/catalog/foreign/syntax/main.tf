// Everything that a parser of variables must read past.
locals {
  nothing   = null
  numbers   = [1, 2.5, 1e3, -4]
  nested    = { a = { "b" : [{ c = 1 }] }, (var.key) = true, "d-${var.key}" = false }
  chosen    = var.key == "a" ? "first" : var.key == "b" ? "second" : "none"
  even      = [for number in local.numbers : number if number % 2 == 0]
  by_parity = { for number in local.numbers : (number % 2 == 0 ? "even" : "odd") => number... }
  firsts    = local.lists[*][0]
  lists     = [[1], [2]]
  text      = "%{if var.key != ""}key ${var.key}%{else}no key%{endif}"
  lines     = <<-EOT
    %{for number in local.numbers~}
    number ${number}
    %{endfor~}
  EOT
  merged    = merge(local.nested, { e = !false }, [{ f = 1 }]...)
  indexed   = local.nested["a"]["b"][0].c
  negated   = -local.indexed
  legacy    = local.lists.0
  compared  = (local.indexed >= 1 && local.indexed <= 2) || local.indexed != 3
}

variable "key" {
  description = "A key." # and a comment
  type        = string
  default     = "a"
}

resource "terraform_data" "one" { input = local.chosen }

resource "terraform_data" "many" {
  for_each = toset(["x", "y"])
  input    = each.key
  lifecycle { ignore_changes = all }
}

removed {
  from = terraform_data.old
  lifecycle { destroy = false }
}

output "seen" { value = { key = var.key } }
