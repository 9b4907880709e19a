variable "environment" {
  description = "Where it runs."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "Choose dev, staging or prod."
  }
}

variable "cidr" {
  description = "The network's addresses."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0))
    error_message = "Give a network such as 10.0.0.0/16."
  }
}

variable "minimum" {
  description = "At least as many nodes."
  type        = number
  default     = 1
}

variable "maximum" {
  description = "At most as many nodes."
  type        = number
  default     = 3

  validation {
    condition     = var.maximum >= var.minimum
    error_message = "The maximum is below the minimum of ${var.minimum}."
  }
}

variable "owners" {
  description = "Who is asked, by e-mail."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for owner in var.owners : can(regex("^[^@]+@[^@]+$", owner))])
    error_message = "Each owner is an e-mail address."
  }

  validation {
    condition     = length(var.owners) == length(distinct(var.owners))
    error_message = "An owner is named twice."
  }
}
