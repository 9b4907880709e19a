# Filled in by the portal, never shown in a form.

variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id      = string
    name                = string
    team                = string
    owner               = string
    running             = bool
    portal_url          = optional(string, "")
    mlflow_tracking_uri = string
  })
}

variable "slipway_secrets" {
  description = "The environment's own credentials."
  type = object({
    mlflow_tracking_token = string
  })
  sensitive = true
}

variable "slipway_runtime" {
  description = "The Python environment that was chosen; null stands for the packages that this module brings."
  type = object({
    name         = string
    version      = number
    digest       = string
    python       = string
    requirements = string
  })
  default = null
}

# Asked for in the launch form.

variable "model_name" {
  description = "Registered model to serve, for example churn.leavers. It has to be a model of the environment's team."
  type        = string

  validation {
    condition     = length(trimspace(var.model_name)) > 0 && length(var.model_name) <= 256
    error_message = "Give the name of a registered model, at most 256 characters."
  }

  validation {
    condition     = !can(regex("[/:]", var.model_name)) && !startswith(var.model_name, "-")
    error_message = "A model's name holds neither / nor :, and does not begin with a hyphen."
  }
}

variable "model_version" {
  description = "Number of the version to serve. A version never changes; another one is an update of this endpoint."
  type        = number

  validation {
    condition     = var.model_version >= 1 && var.model_version <= 2147483647 && floor(var.model_version) == var.model_version
    error_message = "Give the number of a version, 1 or more."
  }
}

variable "cpu" {
  description = "Processor cores the endpoint may use. Halves are possible."
  type        = number
  default     = 0.5
  nullable    = false

  validation {
    condition     = var.cpu >= 0.5 && var.cpu <= 64
    error_message = "Choose between 0.5 and 64 cores."
  }

  validation {
    condition     = var.cpu * 2 == floor(var.cpu * 2)
    error_message = "Choose whole or half cores, for example 1 or 1.5."
  }
}

variable "memory_gb" {
  description = "Memory in GB. The server needs about 0.3, the model comes on top."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.memory_gb >= 0.5 && var.memory_gb <= 256
    error_message = "Choose between 0.5 and 256 GB."
  }
}

variable "request_timeout_s" {
  description = "Seconds after which a prediction that is not done is given up."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.request_timeout_s >= 1 && var.request_timeout_s <= 600 && floor(var.request_timeout_s) == var.request_timeout_s
    error_message = "Choose a whole number of seconds between 1 and 600."
  }
}

variable "environment_variables" {
  description = "Variables the model sees. No passwords: the model's code can read them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Names of variables consist of letters, digits and underscores, and start with a letter."
  }

  validation {
    condition = alltrue([
      for name in keys(var.environment_variables) : !can(regex("^(SLIPWAY_|MLFLOW_TRACKING_|LD_|PYTHON|HOME$|PATH$)", name))
    ])
    error_message = "HOME, PATH and names that start with SLIPWAY_, MLFLOW_TRACKING_, LD_ or PYTHON are set by Slipway."
  }
}

variable "health_timeout_s" {
  description = "Seconds to wait for the model to be loaded before the start counts as failed."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.health_timeout_s >= 10 && var.health_timeout_s <= 1800 && floor(var.health_timeout_s) == var.health_timeout_s
    error_message = "Choose a whole number of seconds between 10 and 1800."
  }
}
