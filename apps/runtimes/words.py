"""What people read of Python environments."""

# Between the actor and the version's name ("notebooks@3").
AUDIT_WORDS = {
    "runtimes:runtime:created": "made the Python environment",
    "runtimes:runtime:changed": "changed the Python environment",
    "runtimes:version:created": "asked to make",
    "runtimes:version:retried": "asked again to make",
    "runtimes:version:ready": "has made",
    "runtimes:version:failed": "could not make",
    "runtimes:version:deprecated": "deprecated",
    "runtimes:version:restored": "took back the deprecation of",
    "runtimes:version:seeded": "brought",
}
