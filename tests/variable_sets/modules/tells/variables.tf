variable "account" {
  description = "Which account; usually a variable set says."
  type        = string
  default     = "nobody"
}

variable "api_key" {
  description = "Not marked as sensitive by its careless author."
  type        = string
  default     = "none"
}

variable "command" {
  description = "What else to run."
  type        = string
  default     = "true"
}

variable "round" {
  description = "Another value says everything again."
  type        = number
  default     = 1
}
