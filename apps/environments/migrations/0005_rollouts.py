"""Rollouts: many environments moved to one version, wave by wave."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("catalog", "0002_versions_life"),
        ("environments", "0004_order_by_stop"),
        ("provisioning", "0004_change_newest"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Rollout",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[("environments", "Chosen environments"), ("team", "All of a team"), ("all", "All")],
                        max_length=12,
                    ),
                ),
                ("wave_size", models.PositiveSmallIntegerField()),
                ("wave", models.PositiveSmallIntegerField(default=1, help_text="The one that is going on, from 1.")),
                ("waves", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("finished", "Finished"),
                            ("stopped", "Stopped"),
                        ],
                        default="running",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, help_text="Why it is paused or was stopped.", max_length=300)),
                (
                    "inputs",
                    models.JSONField(default=dict, help_text="Values given once for all; sensitive ones are masked."),
                ),
                ("inputs_cipher", models.BinaryField(help_text="The same with the sensitive values, encrypted JSON.")),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "driven_by",
                    models.ForeignKey(
                        help_text="For whom the upgrades are made: who began or last continued it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "module",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="rollouts", to="catalog.module"
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
                (
                    "to_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="catalog.moduleversion"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="RolloutItem",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("wave", models.PositiveSmallIntegerField()),
                ("position", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("needs_input", "Needs values"),
                            ("planning", "Under way"),
                            ("waiting_for_confirmation", "Waits for confirmation"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("skipped", "Skipped"),
                        ],
                        default="waiting",
                        max_length=24,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "change",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="rollout_items",
                        to="provisioning.change",
                    ),
                ),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rollout_items",
                        to="environments.environment",
                    ),
                ),
                (
                    "from_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="catalog.moduleversion"
                    ),
                ),
                (
                    "rollout",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="environments.rollout"
                    ),
                ),
            ],
            options={
                "ordering": ["wave", "position", "id"],
            },
        ),
        migrations.AddIndex(
            model_name="rollout",
            index=models.Index(fields=["state", "-created_at"], name="rollout_newest"),
        ),
        migrations.AddConstraint(
            model_name="rolloutitem",
            constraint=models.UniqueConstraint(fields=("rollout", "environment"), name="rollout_item_once"),
        ),
        migrations.AddConstraint(
            model_name="rolloutitem",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("waiting", "needs_input", "planning", "waiting_for_confirmation"))),
                fields=("environment",),
                name="rollout_item_open_once",
            ),
        ),
    ]
