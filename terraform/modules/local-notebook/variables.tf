# Filled in by the portal, never shown in a form.

variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id      = string
    name                = string
    slug                = string
    team                = string
    owner               = string
    running             = bool
    app_url             = string
    portal_url          = optional(string, "")
    mlflow_tracking_uri = string
    mlflow_experiment   = string
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

variable "cpu" {
  description = "Processor cores the notebook may use. Halves are possible."
  type        = number
  default     = 1
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
  description = "Memory in GB. A kernel that needs more is ended; files are safe."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.memory_gb >= 1 && var.memory_gb <= 256
    error_message = "Choose between 1 and 256 GB."
  }
}

variable "gpus" {
  description = "GPUs the notebook has to itself while it runs."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.gpus >= 0 && var.gpus <= 16 && floor(var.gpus) == var.gpus
    error_message = "Choose a whole number of GPUs between 0 and 16."
  }
}

variable "repository" {
  description = "Git address, cloned into your files when the notebook first starts."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^(https?://|ssh://|git@)[^\\s]+$", var.repository))
    error_message = "Give an address that starts with https://, http://, ssh:// or git@, without spaces."
  }

  validation {
    condition     = var.repository == null || !can(regex("^[a-z]+://[^/@]*:[^/@]*@", var.repository))
    error_message = "Leave the password out of the address: it would be stored in plain sight. Put a token under \"Secret variables\" instead."
  }
}

variable "revision" {
  description = "Commit, tag or branch that is checked out after the repository was cloned. Empty means its default branch."
  type        = string
  default     = null

  validation {
    condition     = var.revision == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}$", var.revision))
    error_message = "Give a commit, a tag or a branch: letters, digits and _ . / + - only, at most 200 characters."
  }

  validation {
    condition     = var.revision == null || var.repository != null
    error_message = "Give the Git repository as well."
  }
}

variable "disk_gb" {
  description = "Largest size of your files in GB. Empty means as much as the machine has."
  type        = number
  default     = null

  validation {
    condition     = var.disk_gb == null || try(var.disk_gb >= 1 && var.disk_gb <= 10000, false)
    error_message = "Choose between 1 and 10000 GB, or leave it empty."
  }
}

variable "environment_variables" {
  description = "Variables your notebooks and terminals see, for example DATA_DIR=/data."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Names of variables consist of letters, digits and underscores, and start with a letter."
  }

  validation {
    condition = alltrue([
      for name in keys(var.environment_variables) : !can(regex("^(SLIPWAY_|MLFLOW_TRACKING_|JUPYTER_|LD_|PYTHONHOME$|HOME$|PATH$)", name))
    ])
    error_message = "HOME, PATH, PYTHONHOME and names that start with SLIPWAY_, MLFLOW_TRACKING_, JUPYTER_ or LD_ are set by Slipway."
  }
}

variable "secret_variables" {
  description = "Like environment variables, for passwords and tokens: never shown again."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.secret_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Names of variables consist of letters, digits and underscores, and start with a letter."
  }

  validation {
    condition = alltrue([
      for name in keys(var.secret_variables) : !can(regex("^(SLIPWAY_|MLFLOW_TRACKING_|JUPYTER_|LD_|PYTHONHOME$|HOME$|PATH$)", name))
    ])
    error_message = "HOME, PATH, PYTHONHOME and names that start with SLIPWAY_, MLFLOW_TRACKING_, JUPYTER_ or LD_ are set by Slipway."
  }
}

variable "health_timeout_s" {
  description = "Seconds to wait for JupyterLab to answer before the start counts as failed."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.health_timeout_s >= 10 && var.health_timeout_s <= 600 && floor(var.health_timeout_s) == var.health_timeout_s
    error_message = "Choose a whole number of seconds between 10 and 600."
  }
}
