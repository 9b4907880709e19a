# Filled in by the portal, never shown in a form.

variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id = string
    name           = string
    team           = string
    owner          = string
    running        = bool
  })
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

variable "workers_minimum" {
  description = "Workers that are always there. 0 lets all of them go while nothing is computed."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.workers_minimum >= 0 && var.workers_minimum <= 64 && floor(var.workers_minimum) == var.workers_minimum
    error_message = "Choose a whole number between 0 and 64."
  }
}

variable "workers_maximum" {
  description = "Workers at most: Dask starts more while work waits."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.workers_maximum >= 1 && var.workers_maximum <= 64 && floor(var.workers_maximum) == var.workers_maximum
    error_message = "Choose a whole number between 1 and 64."
  }

  validation {
    condition     = var.workers_maximum >= var.workers_minimum
    error_message = "Choose at least as many as there always are (workers, minimum)."
  }
}

variable "worker_cores" {
  description = "Cores of each worker: so many tasks it computes at a time."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.worker_cores >= 1 && var.worker_cores <= 64 && floor(var.worker_cores) == var.worker_cores
    error_message = "Choose a whole number between 1 and 64."
  }
}

variable "worker_memory_gb" {
  description = "Memory of each worker in GB. A worker that needs more is started again; what it held is computed anew."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.worker_memory_gb >= 0.5 && var.worker_memory_gb <= 256
    error_message = "Choose between 0.5 and 256 GB."
  }
}

variable "worker_idle_minutes" {
  description = "Minutes after which a worker that is not needed ends, down to the minimum."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.worker_idle_minutes >= 0.1 && var.worker_idle_minutes <= 1440
    error_message = "Choose between 0.1 and 1440 minutes."
  }
}

variable "environment_variables" {
  description = "Variables the workers see. Whoever of the team connects can read them: no passwords."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Names of variables consist of letters, digits and underscores, and start with a letter."
  }

  validation {
    condition = alltrue([
      for name in keys(var.environment_variables) : !can(regex("^(SLIPWAY_|DASK_|LD_|PYTHON|HOME$|PATH$)", name))
    ])
    error_message = "HOME, PATH and names that start with SLIPWAY_, DASK_, LD_ or PYTHON are set by Slipway."
  }
}

variable "health_timeout_s" {
  description = "Seconds to wait for the cluster to be there before the start counts as failed."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.health_timeout_s >= 10 && var.health_timeout_s <= 600 && floor(var.health_timeout_s) == var.health_timeout_s
    error_message = "Choose a whole number of seconds between 10 and 600."
  }
}
