variable "listeners" {
  description = "Listeners with their rules, targets and health checks."
  type = map(object({
    port     = optional(number)
    protocol = optional(string, "HTTPS")
    rules = optional(map(object({
      priority = optional(number)
      conditions = list(object({
        path_pattern = optional(object({ values = list(string) }))
        http_header  = optional(object({ http_header_name = string, values = list(string) }))
      }))
      actions = optional(list(object({
        type = optional(string, "forward")
        weighted = optional(object({
          target_groups = list(object({ key = string, weight = optional(number, 1) }))
          stickiness    = optional(object({ enabled = optional(bool, true), duration = optional(number, 3600) }), {})
        }))
      })), [])
    })), {})
  }))
  default = {}
}

output "seen" {
  value = { listeners = var.listeners }
}
