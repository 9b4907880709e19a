output "seen" {
  description = "What came in."
  value = {
    node_groups         = var.node_groups
    node_group_defaults = var.node_group_defaults
    taints              = var.taints
    extra               = var.extra
  }
}
