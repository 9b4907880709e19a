variable "command" {
  description = "What to run."
  type        = string
  default     = "true"
}

variable "endless" {
  description = "Whether the plan never ends."
  type        = bool
  default     = false
}

variable "bomb" {
  description = "Whether the plan takes all memory."
  type        = bool
  default     = false
}

variable "huge_mb" {
  description = "Megabytes in one attribute."
  type        = number
  default     = 0
}
