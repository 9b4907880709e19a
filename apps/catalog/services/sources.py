"""Where modules come from: Git addresses with their credentials, and asking an agent to retrieve from them."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.catalog.exceptions import RetrievalActive, SourceInvalid
from apps.catalog.interface.manifest import KINDS, TARGETS
from apps.catalog.models import ModuleRetrieval, ModuleSource
from apps.catalog.permissions import CatalogPermission, require
from apps.catalog.services.checks import agent_wake
from apps.core.crypto import decrypt, encrypt

K = ModuleSource.Kind
CREDENTIAL_BYTES = 20_000
EXAMPLES_LENGTH = 20_000
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Addresses of the catalog's own pages.
_RESERVED_SLUGS = frozenset({"register", "sources", "upload", "retrievals"})
_SCP_LIKE = re.compile(r"[A-Za-z0-9._-]{1,40}@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/)[^\s]+\Z")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]*")
_MANIFEST_KEYS = {"title": 80, "summary": 300, "version": 40, "kind": 10, "target": 20, "icon": 40}


@transaction.atomic
def source_create(
    *,
    actor: User,
    slug: str,
    url: str,
    reference: str = "",
    subfolder: str = "",
    credential_kind: str = "",
    credential: str = "",
    manifest: dict[str, Any] | None = None,
) -> ModuleSource:
    """Add a Git source. The credential is stored encrypted and never given out again. Raises `SourceInvalid`."""
    require(actor, CatalogPermission.REGISTER)
    source = ModuleSource(kind=K.GIT, created_by=actor)
    _fill(source, slug, url, reference, subfolder, credential_kind, credential, manifest)
    try:
        with transaction.atomic():
            source.save(force_insert=True)
    except IntegrityError:
        raise SourceInvalid(
            errors={"slug": [f"There is a Git source for “{source.slug}” already: change that one."]}
        ) from None
    audit_record(action="catalog:source:created", actor=actor, target=source, after=_audited(source))
    return source


@transaction.atomic
def source_update(
    *,
    source: ModuleSource,
    actor: User,
    url: str,
    reference: str = "",
    subfolder: str = "",
    credential_kind: str = "",
    credential: str = "",
    manifest: dict[str, Any] | None = None,
) -> ModuleSource:
    """Change where a module comes from. An empty credential keeps the one that is there while its kind and the host
    stay the same: a secret is never sent to a server it was not given for."""
    require(actor, CatalogPermission.REGISTER)
    row = ModuleSource.objects.select_for_update(no_key=True).get(pk=source.pk)
    if row.kind != K.GIT:
        raise SourceInvalid("Only Git sources can be changed; register this one again.")
    before, host = _audited(row), _host(row.url)
    if credential_kind and not credential and row.has_credential and host != _host(url):
        raise SourceInvalid(errors={"credential": ["The address names another server: give the credential again."]})
    _fill(row, row.slug, url, reference, subfolder, credential_kind, credential, manifest)
    if host != _host(row.url):
        row.known_hosts = ""
    row.save()
    audit_record(action="catalog:source:changed", actor=actor, target=row, before=before, after=_audited(row))
    return row


@transaction.atomic
def source_remove(*, source: ModuleSource, actor: User) -> None:
    """Forget a source and its credential; versions that came from it stay."""
    require(actor, CatalogPermission.REGISTER)
    row = ModuleSource.objects.select_for_update().get(pk=source.pk)
    audit_record(action="catalog:source:removed", actor=actor, target=row, before=_audited(row))
    row.delete()


@transaction.atomic
def retrieval_request(*, source: ModuleSource, actor: User, reference: str = "", version: str = "") -> ModuleRetrieval:
    """Ask an agent to get the module from Git. One at a time of each source: raises `RetrievalActive`.

    `reference` is a branch, tag or commit instead of the source's own; `version` what a module without module.yaml is
    to be registered as.
    """
    require(actor, CatalogPermission.REGISTER)
    row = ModuleSource.objects.select_for_update(no_key=True).get(pk=source.pk)
    if row.kind != K.GIT:
        raise SourceInvalid("Only Git sources are retrieved; upload or register this one again.")
    if version and len(version) > 40:
        raise SourceInvalid(errors={"version": ["At most 40 characters, for example 1.0.0."]})
    if version and not row.manifest:
        raise SourceInvalid(errors={"version": ["The module's own module.yaml says its version."]})
    retrieval = ModuleRetrieval(
        source=row, reference=_reference(reference) or row.reference, wanted_version=version, requested_by=actor
    )
    try:
        with transaction.atomic():
            retrieval.save(force_insert=True)
    except IntegrityError:
        raise RetrievalActive("Wait until the one that is going on has ended.") from None
    audit_record(
        action="catalog:retrieval:requested", actor=actor, target=retrieval, after={"reference": retrieval.reference}
    )
    agent_wake()
    return retrieval


def source_for(*, kind: str, slug: str, actor: User, manifest: dict[str, Any] | None = None) -> ModuleSource:
    """The source of uploads, or of this repository's folder, for a module; made at its first registration."""
    source, made = ModuleSource.objects.get_or_create(
        slug=slug, kind=kind, defaults={"created_by": actor, "manifest": manifest}
    )
    if not made and manifest is not None and source.manifest != manifest:
        source.manifest = manifest
        source.save(update_fields=["manifest"])
    return source


def source_credential(source: ModuleSource) -> str:
    """For the agent alone."""
    return decrypt(bytes(source.credential_cipher)).decode() if source.has_credential else ""


def _fill(
    source: ModuleSource,
    slug: str,
    url: str,
    reference: str,
    subfolder: str,
    credential_kind: str,
    credential: str,
    manifest: dict[str, Any] | None,
) -> None:
    source.slug = slug_clean(slug)
    source.url = url_clean(url)
    source.reference = _reference(reference)
    source.subfolder = subfolder_clean(subfolder)
    source.manifest = manifest_clean(manifest)
    _credential(source, credential_kind, credential)


def _credential(source: ModuleSource, kind: str, credential: str) -> None:
    if kind not in ModuleSource.Credential.values:
        raise SourceInvalid(errors={"credential_kind": ["Choose none, deploy_key or token."]})
    if not kind:
        if credential:
            raise SourceInvalid(errors={"credential_kind": ["Say whether it is a deploy key or a token."]})
        source.credential_kind, source.credential_cipher = "", b""
        return
    is_web = urlsplit(source.url).scheme in ("http", "https")
    if kind == ModuleSource.Credential.TOKEN and not is_web:
        raise SourceInvalid(errors={"credential_kind": ["A token goes with an https address; use a deploy key."]})
    if kind == ModuleSource.Credential.DEPLOY_KEY and is_web:
        raise SourceInvalid(errors={"credential_kind": ["A deploy key goes with an ssh address; use a token."]})
    if not credential:
        if source.has_credential and source.credential_kind == kind:
            return
        raise SourceInvalid(errors={"credential": ["Paste the key or token."]})
    if len(credential.encode()) > CREDENTIAL_BYTES:
        raise SourceInvalid(errors={"credential": [f"At most {CREDENTIAL_BYTES // 1000} kB."]})
    text = credential.replace("\r\n", "\n").strip()
    if kind == ModuleSource.Credential.DEPLOY_KEY:
        if not (text.startswith("-----BEGIN ") and "PRIVATE KEY-----" in text):
            raise SourceInvalid(
                errors={"credential": ["Paste a private key, from “-----BEGIN” to “-----END … KEY-----”."]}
            )
        text += "\n"
    elif not text.isprintable() or any(letter.isspace() for letter in text) or not text.isascii():
        raise SourceInvalid(errors={"credential": ["A token is one line of letters, digits and signs."]})
    source.credential_kind, source.credential_cipher = kind, encrypt(text.encode())


def slug_clean(slug: str) -> str:
    slug = slug.strip()
    if not _SLUG.fullmatch(slug) or len(slug) > 60:
        raise SourceInvalid(errors={"slug": ["Use lower-case letters, digits and single hyphens, at most 60."]})
    if slug in _RESERVED_SLUGS:
        raise SourceInvalid(errors={"slug": [f"“{slug}” is an address of the portal: choose another name."]})
    return slug


def url_clean(url: str) -> str:
    """A Git address without a password. Raises `SourceInvalid` for anything else, above all for other protocols."""
    url = url.strip()
    parts = _split(url)
    allowed = {"https", "http", "ssh"}
    printable = url.isprintable() and not any(letter.isspace() for letter in url)
    by_scheme = parts.scheme in allowed and _host(url)
    if len(url) > 400:
        raise SourceInvalid(errors={"url": ["At most 400 characters."]})
    if not printable or not (by_scheme or (not parts.scheme and _SCP_LIKE.match(url))):
        raise SourceInvalid(errors={"url": ["The address must begin with https://, http://, ssh:// or git@."]})
    if _host(url).startswith("-") or parts.query or parts.fragment:
        raise SourceInvalid(errors={"url": ["Give a plain address, without “?” and “#”."]})
    if parts.password or (parts.scheme in ("http", "https") and parts.username):
        raise SourceInvalid(errors={"url": ["Leave user and password out of the address: use the credential below."]})
    return url


def _split(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:
        raise SourceInvalid(errors={"url": ["This is no address that can be read."]}) from None


def _host(url: str) -> str:
    if _SCP_LIKE.match(url):
        return url.partition("@")[2].partition(":")[0].lower()
    parts = _split(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise SourceInvalid(errors={"url": ["The port is no number."]}) from None
    return f"{parts.hostname or ''}{port}"


def _reference(reference: str) -> str:
    reference = reference.strip()
    unsafe = ".." in reference or reference.endswith((".lock", "/", ".")) or "@{" in reference or "//" in reference
    if reference and (len(reference) > 200 or unsafe or not _REFERENCE.fullmatch(reference)):
        raise SourceInvalid(errors={"reference": ["Give a branch, a tag or a commit, for example main or v1.2.0."]})
    return reference


def subfolder_clean(subfolder: str) -> str:
    subfolder = subfolder.strip().strip("/")
    parts = subfolder.split("/") if subfolder else []
    bad = any(part in ("", ".", "..", ".git") or not part.isprintable() or "\\" in part for part in parts)
    if len(subfolder) > 200 or bad:
        raise SourceInvalid(
            errors={"subfolder": ["Give a folder inside the repository, for example modules/notebook."]}
        )
    return subfolder


def manifest_clean(manifest: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a form says instead of module.yaml; None where it says nothing. The parser checks the values once more."""
    if not manifest:
        return None
    errors: dict[str, list[str]] = {}
    clean: dict[str, Any] = {}
    for key, longest in _MANIFEST_KEYS.items():
        value = manifest.get(key, "")
        if not isinstance(value, str) or len(value) > longest:
            errors[key] = [f"Text of at most {longest} characters."]
        elif value.strip():
            clean[key] = value.strip()
    ttl = manifest.get("ttl") or {}
    if not isinstance(ttl, dict) or not all(isinstance(value, str) and len(value) <= 10 for value in ttl.values()):
        errors["ttl"] = ["Give default and maximum, for example 8h and 7d."]
        ttl = {}
    examples = manifest.get("examples") or {}
    if not isinstance(examples, dict) or len(json.dumps(examples)) > EXAMPLES_LENGTH:
        errors["examples"] = ["Give an object of values by input."]
    elif examples:
        clean["examples"] = examples
    if unknown := sorted(set(manifest) - {*_MANIFEST_KEYS, "ttl", "examples"}):
        errors["manifest"] = [f"There is no “{str(unknown[0])[:40]}” here."]
    for key, known in (("kind", KINDS), ("target", TARGETS)):
        if key in clean and clean[key] not in known:
            errors[key] = [f"One of: {', '.join(known)}."]
    for key in ("title", "version", "kind", "target", "summary"):
        if key not in clean and key not in errors:
            errors[key] = ["Needed where the module has no module.yaml of its own."]
    if errors:
        raise SourceInvalid(errors=errors)
    clean["ttl"] = {"default": ttl.get("default") or "8h", "maximum": ttl.get("maximum") or "7d"}
    return clean


def _audited(source: ModuleSource) -> dict[str, Any]:
    """What the audit log keeps: never the credential."""
    names = ("kind", "slug", "url", "reference", "subfolder", "credential_kind", "manifest")
    return {name: getattr(source, name) for name in names}


def known_hosts_remember(source: ModuleSource, text: str) -> None:
    """The host keys of the first retrieval; every later one holds the server to them."""
    if text and text != source.known_hosts:
        ModuleSource.objects.filter(pk=source.pk, known_hosts=source.known_hosts).update(known_hosts=text)
