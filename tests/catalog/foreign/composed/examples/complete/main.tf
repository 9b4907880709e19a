module "it" {
  source = "../.."
  leaves = ["example"]
}
