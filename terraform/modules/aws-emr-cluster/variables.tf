# Filled in by the portal, never shown in a form.

variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id = string
    name           = string
    slug           = string
    team           = string
    owner          = string
    running        = bool
  })
}

# Asked for in the launch form.

variable "release" {
  description = "Release of EMR, which decides the versions of Spark and Hadoop. Another one makes a new cluster."
  type        = string
  default     = "emr-7.9.0"
  nullable    = false

  validation {
    condition     = can(regex("^emr-[67]\\.[0-9]+\\.[0-9]+$", var.release))
    error_message = "Choose a release such as emr-7.9.0."
  }
}

variable "instance_type" {
  description = "Processors and memory of each worker."
  type        = string
  default     = "m5.xlarge"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9]+$", var.instance_type))
    error_message = "Choose an instance type of EC2, for example m5.xlarge."
  }
}

variable "primary_instance_type" {
  description = "Processors and memory of the primary node, which runs the drivers."
  type        = string
  default     = "m5.xlarge"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9]+$", var.primary_instance_type))
    error_message = "Choose an instance type of EC2, for example m5.xlarge."
  }
}

variable "workers_least" {
  description = "Workers that are always there."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.workers_least >= 1 && var.workers_least <= 1000 && floor(var.workers_least) == var.workers_least
    error_message = "Choose a whole number between 1 and 1000."
  }
}

variable "workers_most" {
  description = "Workers that there may be while jobs wait. EMR adds and removes them by itself."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.workers_most >= 1 && var.workers_most <= 1000 && floor(var.workers_most) == var.workers_most
    error_message = "Choose a whole number between 1 and 1000."
  }

  validation {
    condition     = var.workers_most >= var.workers_least
    error_message = "The most workers cannot be fewer than the least."
  }
}

variable "disk_gb" {
  description = "Disk of each node in GB. What is on it is lost with the cluster: keep results in S3."
  type        = number
  default     = 64
  nullable    = false

  validation {
    condition     = var.disk_gb >= 32 && var.disk_gb <= 16384 && floor(var.disk_gb) == var.disk_gb
    error_message = "Choose a whole number of GB between 32 and 16384."
  }
}

variable "idle_minutes" {
  description = "EMR terminates the cluster after so many minutes without a job."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.idle_minutes >= 5 && var.idle_minutes <= 10080 && floor(var.idle_minutes) == var.idle_minutes
    error_message = "Choose a whole number of minutes between 5 and 10080, which is a week."
  }
}

# Set by the platform: a variable set of the kind Terraform, or an input policy. Never asked of people.

variable "service_role" {
  description = "Role with which EMR makes the cluster's machines, by name or ARN."
  type        = string
  default     = null
}

variable "instance_profile" {
  description = "Instance profile of the machines: what jobs may do in AWS, by name or ARN."
  type        = string
  default     = null
}

variable "subnet_id" {
  description = "Subnet of the VPC in which the machines are."
  type        = string
  default     = null
}

variable "primary_security_group_id" {
  description = "Security group that EMR manages for the primary node."
  type        = string
  default     = null
}

variable "worker_security_group_id" {
  description = "Security group that EMR manages for the workers."
  type        = string
  default     = null
}

variable "service_security_group_id" {
  description = "Security group of EMR's access to a private subnet; not needed in a public one."
  type        = string
  default     = null
}

variable "log_uri" {
  description = "Place in S3 where logs go and stay, s3://bucket/prefix/."
  type        = string
  default     = null

  validation {
    condition     = var.log_uri == null || can(regex("^s3n?://[a-z0-9.-]+/.*$", var.log_uri))
    error_message = "Give a place in S3 such as s3://bucket/prefix/."
  }
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the logs."
  type        = string
  default     = null
}

variable "security_configuration" {
  description = "EMR security configuration: encryption of disks with the platform's KMS key, and of what is on its way."
  type        = string
  default     = null
}

variable "spark_configurations" {
  description = "More configurations as EMR takes them, in JSON."
  type        = string
  default     = "[]"
  nullable    = false
}

variable "cost_centre" {
  description = "Cost centre that everything is tagged with."
  type        = string
  default     = null
}

variable "cost_centre_tag" {
  description = "Name of the tag that holds the cost centre: what the organisation's cost reports are grouped by."
  type        = string
  default     = "cost-centre"
  nullable    = false
}

variable "extra_tags" {
  description = "More tags for everything."
  type        = map(string)
  default     = {}
  nullable    = false
}
