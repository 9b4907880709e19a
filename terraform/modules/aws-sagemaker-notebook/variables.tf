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

variable "instance_type" {
  description = "Processors and memory of the notebook. Can be changed later; files are kept."
  type        = string
  default     = "ml.t3.medium"
  nullable    = false

  validation {
    condition     = can(regex("^ml\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "Choose an instance type of SageMaker, for example ml.t3.medium."
  }
}

variable "volume_gb" {
  description = "Disk for your files in GB, below /home/ec2-user/SageMaker. It can grow later, not shrink."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.volume_gb >= 5 && var.volume_gb <= 16384 && floor(var.volume_gb) == var.volume_gb
    error_message = "Choose a whole number of GB between 5 and 16384."
  }
}

variable "idle_minutes" {
  description = "Stops by itself after so many minutes in which no kernel computes and nobody types. 0 means never."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition = (var.idle_minutes == 0 || (var.idle_minutes >= 10 && var.idle_minutes <= 1440)) && (
      floor(var.idle_minutes) == var.idle_minutes
    )
    error_message = "Choose a whole number of minutes between 10 and 1440, or 0 for never."
  }
}

variable "repository" {
  description = "Git address, cloned into your files when the notebook is created."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^https://[^\\s/@]+/[^\\s]+$", var.repository))
    error_message = "Give an address that starts with https://, without a user name, a password or spaces."
  }
}

# Set by the platform: a variable set of the kind Terraform, or an input policy. Never asked of people.

variable "role_arn" {
  description = "Role that code in the notebook has in AWS."
  type        = string
  default     = null
}

variable "subnet_id" {
  description = "Subnet of the VPC in which the notebook gets its network interface."
  type        = string
  default     = null
}

variable "security_group_ids" {
  description = "Security groups of that network interface."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "kms_key_id" {
  description = "KMS key, by id, ARN or alias, that encrypts the notebook's disk."
  type        = string
  default     = null
}

variable "direct_internet_access" {
  description = "Whether SageMaker gives it an internet connection beside the VPC's own."
  type        = bool
  default     = false
  nullable    = false
}

variable "root_access" {
  description = "Whether people are root on the instance, which every process of theirs then is as well."
  type        = bool
  default     = false
  nullable    = false
}

variable "platform_identifier" {
  description = "Operating system and JupyterLab of new notebooks. Another one replaces a notebook with its files."
  type        = string
  default     = "notebook-al2-v3"
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
