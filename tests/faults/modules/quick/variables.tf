variable "slipway" {
  description = "What the portal knows of this environment."
  type = object({
    environment_id = string
    name           = string
    running        = bool
  })
}

variable "python" {
  description = "The interpreter that serves."
  type        = string
}

variable "message" {
  description = "What the server says; another one restarts it."
  type        = string
  default     = "hello"
}

variable "build_s" {
  description = "Seconds that a resource between the volume and the service takes to build."
  type        = number
  default     = 0
}

variable "health_s" {
  description = "Seconds until the server answers after each start."
  type        = number
  default     = 0
}

variable "stop_s" {
  description = "Seconds that the server takes to end after it was asked to."
  type        = number
  default     = 0
}

variable "settle_s" {
  description = "Seconds that Terraform goes on after the service is ready, at a launch."
  type        = number
  default     = 0
}

variable "destroy_s" {
  description = "Seconds that a destroy takes before it reaches the service."
  type        = number
  default     = 0
}
