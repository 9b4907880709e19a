data "aws_eks_cluster" "this" {
  name = var.cluster
}

resource "aws_s3_bucket" "copy" {
  provider = aws.replica
  bucket   = "copy-${random_id.tail.hex}"

  dynamic "timeouts" {
    for_each = var.timeouts == null ? [] : [var.timeouts]
    content {
      create = timeouts.value.create
    }
  }

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [tags["touched"], tags_all]
    precondition {
      condition     = length(var.cluster) > 0
      error_message = "A cluster is needed."
    }
  }
}

resource "random_id" "tail" {
  byte_length = 4
}

variable "cluster" {
  description = "Name of the cluster."
  type        = string
}

variable "timeouts" {
  description = "How long to wait."
  type        = object({ create = optional(string, "10m"), delete = optional(string) })
  default     = null
}
