variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id = string
    name           = string
    running        = bool
  })
}

variable "canary" {
  description = "A secret of the person."
  type        = string
  sensitive   = true
  default     = ""
}
