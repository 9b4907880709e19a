import hashlib

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from apps.accounts.querysets import ApiTokenQuerySet, MembershipQuerySet, TeamQuerySet, UserManager
from apps.core.models import RecordModel


class User(AbstractUser):
    """A person who signs in; global roles are flags here, roles in a team are memberships."""

    class Theme(models.TextChoices):
        AUTO = "auto", "As my system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    email = models.EmailField("e-mail address", blank=True)
    is_platform_engineer = models.BooleanField(default=False)
    is_auditor = models.BooleanField(default=False)
    theme = models.CharField(max_length=5, choices=Theme.choices, default=Theme.AUTO)
    time_zone = models.CharField(max_length=64, blank=True)
    shortcuts = models.BooleanField("keyboard shortcuts", default=True)

    objects = UserManager()  # type: ignore[misc]

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    @property
    def sees_everything(self) -> bool:
        return self.is_active and (self.is_platform_engineer or self.is_auditor)


class Team(RecordModel):
    """A group of people that shares environments, experiments and a budget."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Membership(RecordModel):
    """One person's role in one team."""

    class Role(models.TextChoices):
        MEMBER = "member", "Member"
        MANAGER = "manager", "Manager"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="membership_user_team")]

    def __str__(self) -> str:
        return f"{self.user} {self.role} of {self.team}"


class ApiToken(RecordModel):
    """A bearer token of one person; only its SHA-256 is kept. With an environment it is that environment's own."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Read and write"
        MLFLOW = "mlflow", "MLflow tracking only"
        CONNECT = "connect", "Connecting to clusters only"

    # What people give to tokens of their own; the rest is for those of environments.
    PERSONAL_SCOPES = (Scope.READ, Scope.WRITE, Scope.MLFLOW)

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True, validators=[RegexValidator(r"^[0-9a-f]{64}$")])
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices))
    environment_id = models.UUIDField(null=True, blank=True, db_index=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def digest_of(secret: str) -> str:
        """SHA-256 is enough for a secret of 256 random bits; a password hash would only cost time."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
