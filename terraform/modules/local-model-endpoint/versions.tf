terraform {
  required_version = ">= 1.9"

  required_providers {
    slipway = {
      source  = "slipway.local/slipway/slipway"
      version = ">= 0.1.0, < 1.0.0"
    }
  }
}
