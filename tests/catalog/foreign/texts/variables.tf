variable "greeting" {
  description = "Grüße, 你好 — “quoted”."
  type        = string
  default     = "Grüß Gott, \"Welt\"\t\u00e9"
}

variable "motto" {
  description = "Several lines."
  type        = string
  default     = ""
}

variable "ratio" {
  description = "Between nothing and one."
  type        = number
  default     = 0.25
}

variable "offset" {
  description = "May be below zero."
  type        = number
  default     = -12
}

variable "large" {
  description = "A large number."
  type        = number
  default     = 9007199254740991
}

variable "switch" {
  description = "On or off."
  type        = bool
  default     = true
}

variable "perhaps" {
  description = "On, off, or neither."
  type        = bool
  default     = null
}

variable "paths" {
  description = "Paths, in their order."
  type        = list(string)
  default     = []
}

variable "settings" {
  description = "Settings, with signs of all kinds."
  type        = map(string)
  default     = {}
}
