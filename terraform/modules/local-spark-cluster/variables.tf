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

# Asked for in the launch form.

variable "cores" {
  description = "Cores: so many tasks Spark computes at a time."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.cores >= 1 && var.cores <= 64 && floor(var.cores) == var.cores
    error_message = "Choose a whole number between 1 and 64."
  }
}

variable "memory_gb" {
  description = "Memory in GB: half of it for Spark, the rest for Java itself and for the Python of your functions."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.memory_gb >= 2 && var.memory_gb <= 256
    error_message = "Choose between 2 and 256 GB."
  }
}

variable "environment_variables" {
  description = "Variables the tasks see. Whoever of the team connects can read them: no passwords."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Names of variables consist of letters, digits and underscores, and start with a letter."
  }

  validation {
    condition = alltrue([
      for name in keys(var.environment_variables) : !can(regex("^(SLIPWAY_|SPARK_|PYSPARK_|JAVA_|LD_|PYTHON|HOME$|PATH$)", name))
    ])
    error_message = "HOME, PATH and names that start with SLIPWAY_, SPARK_, PYSPARK_, JAVA_, LD_ or PYTHON are set by Slipway."
  }
}

variable "health_timeout_s" {
  description = "Seconds to wait for Spark to answer before the start counts as failed."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.health_timeout_s >= 10 && var.health_timeout_s <= 600 && floor(var.health_timeout_s) == var.health_timeout_s
    error_message = "Choose a whole number of seconds between 10 and 600."
  }
}
