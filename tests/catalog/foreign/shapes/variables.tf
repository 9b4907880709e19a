variable "pair" {
  description = "A name and a number."
  type        = tuple([string, number])
  default     = ["a", 1]
}

variable "matrix" {
  description = "Rows of numbers."
  type        = list(list(number))
  default     = [[1, 2], [3, 4]]
}

variable "ports" {
  description = "Ports by protocol."
  type        = map(list(number))
  default     = {}
}

variable "members" {
  description = "Members, each once."
  type        = set(object({ name = string, admin = bool }))
  default     = []
}

variable "flags" {
  description = "Switches by name."
  type        = map(bool)
  default     = {}
}

variable "mixed" {
  description = "One of everything."
  type = object({
    text   = string
    number = number
    flag   = bool
    list   = list(string)
    map    = map(number)
    tuple  = tuple([bool, list(string)])
    empty  = object({})
  })
}
