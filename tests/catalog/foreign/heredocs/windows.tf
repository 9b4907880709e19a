variable "cloud_init" {
  description = "With the line ends of Windows, and a mark of its byte order."
  type        = string
  default     = "one"
}
