variable "node_groups" {
  description = "Definitions of node groups; whatever the platform understands."
  type        = any
  default     = {}
}

variable "node_group_defaults" {
  description = "Defaults of every node group."
  type        = map(any)
  default     = {}
}

variable "taints" {
  description = "Taints of all nodes."
  type        = list(any)
  default     = []
}

variable "extra" {
  description = "Anything else, null included."
  type        = any
  default     = null
}
