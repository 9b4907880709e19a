output "seen" {
  value = {
    greeting = var.greeting, motto = var.motto, ratio = var.ratio, offset = var.offset, large = var.large
    switch   = var.switch, perhaps = var.perhaps, paths = var.paths, settings = var.settings
  }
}
