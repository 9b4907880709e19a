"""What platform engineers fill in to register modules. The services check; these forms only read."""

import json
from typing import Any

from django import forms

from apps.catalog.archives import ARCHIVE_BYTES
from apps.catalog.interface.manifest import KINDS, TARGETS
from apps.catalog.models import ModuleSource
from apps.core.exceptions import UserError

MANIFEST_FIELDS = ("title", "version", "kind", "target", "summary", "ttl_default", "ttl_maximum", "examples")
EXAMPLES_LENGTH = 20_000


def show_error(form: forms.BaseForm, error: UserError) -> None:
    """Put what a service refused beside the fields it names, the rest on top."""
    shown = False
    for name, texts in error.errors.items():
        for text in texts:
            place = "ttl_default" if name == "ttl" else name
            known = place in form.fields
            form.add_error(place if known else None, text if known or name == "reason" else f"{name}: {text}")
            shown = True
    if not shown:
        form.add_error(None, str(error))


class ManifestForm(forms.Form):
    """What a module without a module.yaml of its own needs; nothing of it where it has one."""

    title = forms.CharField(max_length=80, required=False, help_text="As people read it in the catalog.")
    version = forms.CharField(max_length=40, required=False, help_text="A semantic version, for example 1.0.0.")
    kind = forms.ChoiceField(required=False, choices=[("", "–"), *((kind, kind.capitalize()) for kind in KINDS)])
    target = forms.ChoiceField(
        required=False, label="Runs on", choices=[("", "–"), *((target, target) for target in TARGETS)]
    )
    summary = forms.CharField(max_length=300, required=False, help_text="One sentence: what people get.")
    ttl_default = forms.CharField(max_length=10, required=False, label="Stops after", help_text="For example 8h.")
    ttl_maximum = forms.CharField(max_length=10, required=False, label="At most", help_text="For example 7d.")
    examples = forms.CharField(
        max_length=EXAMPLES_LENGTH,
        required=False,
        label="Example inputs",
        widget=forms.Textarea(attrs={"rows": 4, "data-code": "json", "spellcheck": "false"}),
        help_text='For the trial plan, as JSON: {"bucket": "data"}. Inputs with a default need none.',
    )

    def __init__(self, *args: Any, manifest: dict[str, Any] | None = None, **options: Any) -> None:
        if manifest:
            ttl = manifest.get("ttl") or {}
            shown = {
                **manifest,
                "ttl_default": ttl.get("default", ""),
                "ttl_maximum": ttl.get("maximum", ""),
                "examples": json.dumps(manifest["examples"], indent=1) if manifest.get("examples") else "",
            }
            options["initial"] = {**shown, **options.get("initial", {})}
        super().__init__(*args, **options)

    def clean_examples(self) -> dict[str, Any]:
        text = self.cleaned_data["examples"].strip()
        if not text:
            return {}
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise forms.ValidationError('This is no JSON. Give an object, for example {"bucket": "data"}.') from None
        if not isinstance(given, dict):
            raise forms.ValidationError('Give an object, for example {"bucket": "data"}.')
        return given

    def manifest(self) -> dict[str, Any] | None:
        """As the services take it; None where nothing was filled in."""
        data = self.cleaned_data
        given = {name: data[name] for name in ("title", "version", "kind", "target", "summary") if data.get(name)}
        ttl = {key: data[f"ttl_{key}"] for key in ("default", "maximum") if data.get(f"ttl_{key}")}
        if not given and not ttl and not data.get("examples"):
            return None
        return {
            **given,
            **({"ttl": ttl} if ttl else {}),
            **({"examples": data["examples"]} if data["examples"] else {}),
        }

    def manifest_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in MANIFEST_FIELDS]

    def manifest_open(self) -> bool:
        """Whether the fold is open: something is filled in, or wrong."""
        return any(self[name].errors or self[name].value() for name in MANIFEST_FIELDS)


class GitForm(ManifestForm):
    """A module from a Git repository."""

    slug = forms.CharField(
        max_length=60, label="Short name", help_text="Of the module, in its address: local-notebook."
    )
    url = forms.CharField(
        max_length=400, label="Git address", help_text="https://, ssh:// or git@, without a password."
    )
    reference = forms.CharField(
        max_length=200, required=False, label="Branch, tag or commit", help_text="Empty is the default branch."
    )
    subfolder = forms.CharField(
        max_length=200, required=False, label="Folder", help_text="Where the module lies in it."
    )
    credential_kind = forms.ChoiceField(
        required=False, label="Credential", choices=ModuleSource.Credential.choices, widget=forms.RadioSelect
    )
    credential = forms.CharField(
        max_length=20_000,
        required=False,
        strip=False,
        label="Key or token",
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false", "data-code": "text"}),
        help_text="Stored encrypted and never shown again.",
    )

    def __init__(self, *args: Any, source: ModuleSource | None = None, **options: Any) -> None:
        if source is not None:
            names = ("slug", "url", "reference", "subfolder", "credential_kind")
            options["initial"] = {name: getattr(source, name) for name in names}
            options["manifest"] = source.manifest
        super().__init__(*args, **options)
        if source is not None:
            del self.fields["slug"]
            if source.has_credential:
                self.fields["credential"].help_text = "Empty keeps the one that is there; it is never shown."

    def own_fields(self) -> list[forms.BoundField]:
        names = ("slug", "url", "reference", "subfolder", "credential_kind", "credential")
        return [self[name] for name in names if name in self.fields]

    def source_fields(self) -> dict[str, Any]:
        names = ("slug", "url", "reference", "subfolder", "credential_kind", "credential")
        return {name: self.cleaned_data[name] for name in names if name in self.fields} | {"manifest": self.manifest()}


class UploadForm(ManifestForm):
    """A module from an archive."""

    slug = forms.CharField(
        max_length=60, label="Short name", help_text="Of the module, in its address: local-notebook."
    )
    archive = forms.FileField(
        widget=forms.ClearableFileInput(attrs={"accept": ".tar.gz,.tgz,.zip"}),
        max_length=255,
        help_text=f"A .tar.gz or .zip of the module's folder, at most {ARCHIVE_BYTES // 2**20} MB.",
        allow_empty_file=True,
    )
    subfolder = forms.CharField(
        max_length=200, required=False, label="Folder", help_text="Where the module lies in it."
    )

    def own_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("slug", "archive", "subfolder")]


class RetrieveForm(forms.Form):
    reference = forms.CharField(max_length=200, required=False, label="Branch, tag or commit")
    version = forms.CharField(
        max_length=40, required=False, label="Register as version", help_text="A semantic version, for example 1.1.0."
    )

    def __init__(self, *args: Any, source: ModuleSource, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["reference"].help_text = f"Empty is {source.reference or 'the default branch'}."
        if not source.manifest:
            del self.fields["version"]
