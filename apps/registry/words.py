"""What people read of models."""

# Between the actor and the model's name.
AUDIT_WORDS = {
    "registry:alias:set": "moved an alias of",
    "registry:alias:deleted": "took an alias from",
    "registry:alias:moved-elsewhere": "noticed an alias moved outside Slipway, of",
    "registry:card:written": "wrote the card of",
    "registry:model:created": "registered the model",
    "registry:model:described": "changed the description of",
    "registry:model:renamed-elsewhere": "noticed a new name, given outside Slipway, of",
    "registry:version:registered": "registered a version of",
    "registry:version:predicted": "sent a prediction to",
}
