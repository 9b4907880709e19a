variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id = string, name = string, slug = string, team = string, owner = string, running = bool
    app_url        = string, mlflow_tracking_uri = string, mlflow_experiment = string
  })
}

variable "slipway_secrets" {
  description = "The environment's own credentials."
  type        = object({ mlflow_tracking_token = string })
  sensitive   = true
}

variable "password" {
  description = "A password."
  type        = string
  sensitive   = true

  validation {
    condition     = !startswith(var.password, "refused")
    error_message = "Choose another password."
  }
}

variable "key" {
  description = "A private key of several lines."
  type        = string
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "account_key" {
  description = "Filled in from a variable set; its author forgot to mark it."
  type        = string
  default     = ""
}

variable "repository" {
  description = "Git address."
  type        = string
  default     = null
}

variable "fails" {
  description = "Whether the program ends at once."
  type        = bool
  default     = false
}
