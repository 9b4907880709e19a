"""Backup and restore of a whole portal: databases, keys, Terraform's states and people's files."""
