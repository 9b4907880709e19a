variable "rules" {
  description = <<-EOT
    Rules of the firewall, for example:

      rules = {
        web = { port = 443, from = ["10.0.0.0/8"] }
      }

    A name such as "$${team}-web" is written with two dollar signs.
    EOT of a heredoc may be spoken of, and so may <<EOF.
  EOT
  type = map(object({
    port = number
    from = list(string)
  }))
  default = {}
}

variable "script" {
  description = <<EOF
Runs on the first start.
EOF
  type        = string
  default     = <<-SCRIPT
    #!/bin/sh
    set -e
    if true; then
      echo "ready: $${HOME}"
    fi
  SCRIPT
}
