variable "buckets" {
  description = "Buckets by name."
  type = map(object({
    versioned = optional(bool, true)
    lifecycle_rules = optional(list(object({
      prefix       = optional(string, "")
      expire_days  = number
      storage_tier = optional(string)
    })), [])
    tags = optional(map(string), {})
  }))
  default = {}
}

variable "replicas" {
  description = "Regions that hold a copy, each once."
  type        = set(string)
  default     = ["eu-west-1"]
}

variable "encryption" {
  description = "How what is stored is encrypted; null leaves it to the provider."
  type = object({
    algorithm = string # AES256 or aws:kms
    key       = optional(string)
    /* asked for by auditors */
    rotate = optional(bool, false)
  })
  default = null
}

variable "logging" {
  type        = list(object({ target = string, prefix = optional(string, "log/") }))
  description = "Where accesses are written down."
  default     = []
}
