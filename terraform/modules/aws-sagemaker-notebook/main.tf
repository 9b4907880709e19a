# A SageMaker notebook instance: its disk outlives a stop, its role, key and network are the platform's.

locals {
  # The slug is never used again, so that what a broken launch left in the account is found by its name.
  name = "slipway-${var.slipway.slug}"

  # AWS takes letters, digits, spaces and these signs in the value of a tag; people name environments as they like.
  plain = {
    for name, value in {
      "slipway:name" = var.slipway.name
      "slipway:team" = var.slipway.team
      "slipway:user" = var.slipway.owner
    } : name => substr(replace(value, "/[^\\p{L}\\p{N} _.:\\/=+@-]/", "-"), 0, 256)
  }
  tags = merge(
    var.extra_tags,
    local.plain,
    { "slipway:environment" = var.slipway.environment_id },
    var.cost_centre == null ? {} : { (var.cost_centre_tag) = var.cost_centre },
  )

  region  = split(":", aws_sagemaker_notebook_instance.this.arn)[3]
  console = lookup({ aws-cn = "console.amazonaws.cn", aws-us-gov = "console.amazonaws-us-gov.com" }, split(":", aws_sagemaker_notebook_instance.this.arn)[1], "console.aws.amazon.com")
}

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "this" {
  name = local.name

  # Runs as root, whatever people may do, at every start and for at most five minutes.
  on_start = base64encode(templatefile("${path.module}/files/on_start.sh", {
    idle_minutes = var.idle_minutes
    idle_stop    = base64encode(file("${path.module}/files/idle_stop.py"))
  }))
}

resource "aws_sagemaker_notebook_instance" "this" {
  name                    = local.name
  instance_type           = var.instance_type
  volume_size             = var.volume_gb
  default_code_repository = var.repository
  lifecycle_config_name   = aws_sagemaker_notebook_instance_lifecycle_configuration.this.name
  platform_identifier     = var.platform_identifier

  role_arn               = var.role_arn
  subnet_id              = var.subnet_id
  security_groups        = var.security_group_ids
  kms_key_id             = var.kms_key_id
  direct_internet_access = var.direct_internet_access ? "Enabled" : "Disabled"
  root_access            = var.root_access ? "Enabled" : "Disabled"

  instance_metadata_service_configuration {
    minimum_instance_metadata_service_version = "2"
  }

  lifecycle {
    precondition {
      condition = (
        var.role_arn != null && var.kms_key_id != null && var.subnet_id != null && length(var.security_group_ids) > 0
      )
      error_message = "The platform has not said which role, KMS key, subnet and security groups notebooks get. A platform engineer sets role_arn, kms_key_id, subnet_id and security_group_ids in a variable set."
    }
    precondition {
      condition     = var.cost_centre != null
      error_message = "The platform has not said which cost centre this is tagged with. A platform engineer sets cost_centre in a variable set."
    }
  }
}

# Terraform's AWS provider creates notebooks, but neither stops nor starts them.
resource "slipway_sagemaker_power" "this" {
  notebook = aws_sagemaker_notebook_instance.this.name
  region   = local.region
  running  = var.slipway.running

  lifecycle {
    # One that is made anew runs, whatever the one before it did.
    replace_triggered_by = [aws_sagemaker_notebook_instance.this.id]
  }
}
