variable "password" {
  description = "The administrator's password."
  type        = string
  sensitive   = true
}

variable "keys" {
  description = "Keys by name."
  type        = map(string)
  default     = {}
  sensitive   = true
  nullable    = false
}

variable "certificate" {
  description = "A certificate with its key."
  type        = object({ certificate = string, key = string })
  default     = null
  sensitive   = true
}

variable "user" {
  description = "The administrator's name."
  type        = string
  default     = "admin"
  nullable    = false
}

output "seen" {
  value = {
    password = nonsensitive(var.password), keys = nonsensitive(var.keys), certificate = nonsensitive(var.certificate), user = var.user
  }
}
