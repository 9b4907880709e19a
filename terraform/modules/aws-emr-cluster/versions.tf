terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 6.0"
    }
  }
}

# Region and credentials come from the environment that a variable set gives Terraform, never from a variable.
provider "aws" {
  default_tags {
    tags = local.tags
  }
}
