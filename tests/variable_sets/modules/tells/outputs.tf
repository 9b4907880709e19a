output "account" {
  description = "Which account."
  value       = var.account
}

output "api_key" {
  description = "Not marked as sensitive either."
  value       = terraform_data.secret.output
}
