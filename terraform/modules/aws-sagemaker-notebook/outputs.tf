output "address" {
  description = "Opens JupyterLab, after signing in to AWS."
  value       = "https://${local.region}.${local.console}/sagemaker/home?region=${local.region}#/notebook-instances/openNotebook/${aws_sagemaker_notebook_instance.this.name}?view=lab"
}

output "running" {
  description = "Whether it really runs: AWS stops it by itself when it is idle."
  value       = slipway_sagemaker_power.this.running
}

output "notebook_name" {
  description = "Name of the notebook instance in SageMaker."
  value       = aws_sagemaker_notebook_instance.this.name
}

output "notebook_arn" {
  description = "Its ARN."
  value       = aws_sagemaker_notebook_instance.this.arn
}

output "role_arn" {
  description = "Role that code in the notebook has in AWS."
  value       = aws_sagemaker_notebook_instance.this.role_arn
}
