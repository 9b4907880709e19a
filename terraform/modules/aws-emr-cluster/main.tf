# A Spark cluster on EMR. EMR knows no stop: a stopped cluster is a terminated one, and a start makes another.

locals {
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

  cluster = one(aws_emr_cluster.spark)
  region  = local.cluster == null ? "" : split(":", local.cluster.arn)[3]
  console = local.cluster == null ? "" : lookup({ aws-cn = "console.amazonaws.cn", aws-us-gov = "console.amazonaws-us-gov.com" }, split(":", local.cluster.arn)[1], "console.aws.amazon.com")
}

resource "aws_emr_cluster" "spark" {
  count = var.slipway.running ? 1 : 0

  name          = local.name
  release_label = var.release
  applications  = ["Hadoop", "Spark", "Livy", "JupyterEnterpriseGateway"]
  service_role  = var.service_role

  log_uri                           = var.log_uri
  log_encryption_kms_key_id         = var.log_kms_key_arn
  security_configuration            = var.security_configuration
  configurations_json               = var.spark_configurations == "[]" ? null : var.spark_configurations
  keep_job_flow_alive_when_no_steps = true
  termination_protection            = false

  ec2_attributes {
    instance_profile                  = var.instance_profile
    subnet_id                         = var.subnet_id
    emr_managed_master_security_group = var.primary_security_group_id
    emr_managed_slave_security_group  = var.worker_security_group_id
    service_access_security_group     = var.service_security_group_id
  }

  master_instance_group {
    name          = "primary"
    instance_type = var.primary_instance_type

    ebs_config {
      size                 = var.disk_gb
      type                 = "gp3"
      volumes_per_instance = 1
    }
  }

  core_instance_group {
    name           = "workers"
    instance_type  = var.instance_type
    instance_count = var.workers_least

    ebs_config {
      size                 = var.disk_gb
      type                 = "gp3"
      volumes_per_instance = 1
    }
  }

  # Also for a cluster that no Terraform knows any more: nobody pays for one that is forgotten.
  auto_termination_policy {
    idle_timeout = var.idle_minutes * 60
  }

  # What Amazon's own policy for the service role, AmazonEMRServicePolicy_v2, goes by.
  tags = { for-use-with-amazon-emr-managed-policies = "true" }

  lifecycle {
    # Managed scaling moves it, which is no drift.
    ignore_changes = [core_instance_group[0].instance_count]

    precondition {
      condition     = alltrue([for value in [var.service_role, var.instance_profile, var.subnet_id, var.log_uri] : value != null])
      error_message = "The platform has not said which roles, subnet and place for logs clusters get. A platform engineer sets service_role, instance_profile, subnet_id and log_uri in a variable set."
    }
    precondition {
      condition     = var.security_configuration != null
      error_message = "The platform has not said how clusters are encrypted. A platform engineer makes an EMR security configuration with the KMS key and sets security_configuration in a variable set."
    }
    precondition {
      condition     = var.cost_centre != null
      error_message = "The platform has not said which cost centre this is tagged with. A platform engineer sets cost_centre in a variable set."
    }
  }
}

resource "aws_emr_managed_scaling_policy" "spark" {
  count = var.slipway.running ? 1 : 0

  cluster_id = aws_emr_cluster.spark[0].id

  compute_limits {
    unit_type                       = "Instances"
    minimum_capacity_units          = var.workers_least
    maximum_capacity_units          = var.workers_most
    maximum_ondemand_capacity_units = var.workers_most
    maximum_core_capacity_units     = var.workers_most
  }
}
