terraform {
  required_version = ">= 1.5.7, < 2.0.0"

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = ">= 5.79"
      configuration_aliases = [aws.replica, aws.dns]
    }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 2.20" }
    random     = "~> 3.0"
    time = {
      source = "hashicorp/time"
    }
  }

  provider_meta "aws" {
    user_agent = ["example"]
  }
}

provider "kubernetes" {
  host = "https://${data.aws_eks_cluster.this.endpoint}"

  exec {
    api_version = "client.authentication.k8s.io/v1beta1"
    command     = "aws"
    args        = ["eks", "get-token", "--cluster-name", var.cluster]
  }
}
