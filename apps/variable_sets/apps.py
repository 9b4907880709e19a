from django.apps import AppConfig


class VariableSetsConfig(AppConfig):
    name = "apps.variable_sets"
    label = "variable_sets"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.catalog.registry import module_needs
        from apps.core.ciphers import register_cipher
        from apps.variable_sets.selectors import modules_lacking
        from apps.variable_sets.words import AUDIT_WORDS

        register_words(AUDIT_WORDS)
        module_needs(modules_lacking)
        register_cipher("variable_sets.SetVariable", "cipher", "values of variable sets")
        register_cipher("variable_sets.RetiredValue", "cipher", "retired values of variable sets")
