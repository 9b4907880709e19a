output "address" {
  description = "The cluster's page in the AWS console, after signing in to AWS. Empty while it is stopped."
  value       = local.cluster == null ? "" : "https://${local.region}.${local.console}/emr/home?region=${local.region}#/clusterDetails/${local.cluster.id}"
}

output "running" {
  description = "Whether there is a cluster: EMR terminates it by itself when it is idle."
  value       = local.cluster != null
}

output "cluster_id" {
  description = "Its id in EMR, which EMR Studio and Livy clients ask for."
  value       = local.cluster == null ? "" : local.cluster.id
}

output "primary_dns" {
  description = "Name of the primary node: Livy answers there at port 8998, Spark's history at 18080."
  value       = local.cluster == null ? "" : local.cluster.master_public_dns
}

output "log_uri" {
  description = "Where logs are and stay."
  value       = var.log_uri
}
