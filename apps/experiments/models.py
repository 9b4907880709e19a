"""The read model over MLflow: what lists, filters and sums are made of. MLflow itself stays the truth of a single run.

Everything but `SavedView` and `TablePreference` can be dropped and is filled again from MLflow's REST API.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.models import RecordModel
from apps.experiments.querysets import ExperimentQuerySet, RunQuerySet, SavedViewQuerySet

ID_LENGTH = 32  # of MLflow's run ids, and of its experiment ids at most
VALUE_LENGTH = 200  # what is compared of a long parameter or tag by index


class TrackerIndex(models.Model):
    """How far the MLflow server has been read; there is one row.

    `imported_at` is NULL while the first import goes on; `read_at` is when the newest round ended with an answer;
    `away_since` is set from the first round without one until the next with one.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    import_started_at = models.DateTimeField(null=True)
    imported_at = models.DateTimeField(null=True)
    import_place = models.JSONField(default=dict, help_text="Where the import goes on; its shape is the importer's.")
    runs_expected = models.PositiveIntegerField(null=True)
    runs_read = models.PositiveIntegerField(default=0)
    read_at = models.DateTimeField(null=True)
    away_since = models.DateTimeField(null=True)
    away_reason = models.CharField(max_length=300, blank=True)
    reconcile_place = models.JSONField(default=dict, help_text="Where the rolling reconcile goes on.")
    reconciled_at = models.DateTimeField(null=True, help_text="When the reconcile last came round.")
    working_until = models.DateTimeField(null=True, help_text="A round is under way and holds the index until then.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_tracker_index")]

    def __str__(self) -> str:
        return "index of runs"


class Experiment(models.Model):
    """An MLflow experiment and what its runs add up to."""

    class Goal(models.TextChoices):
        HIGHEST = "max", "Highest is best"
        LOWEST = "min", "Lowest is best"

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, help_text="MLflow's experiment id.")
    name = models.CharField(max_length=500)
    folder = models.CharField(max_length=500, blank=True, help_text='The name up to its last "/".')
    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.SET_NULL, related_name="experiments")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.TextField(blank=True)
    tags = models.JSONField(default=dict)
    archived = models.BooleanField(default=False, help_text='In MLflow: lifecycle stage "deleted".')
    created_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True, help_text="MLflow's last_update_time.")

    run_count = models.PositiveIntegerField(default=0)
    running_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    has_children = models.BooleanField(default=False, help_text="Whether any run has a parent.")
    last_run_at = models.DateTimeField(null=True)
    main_metric = models.CharField(max_length=250, blank=True, help_text="Chosen by a person, else the commonest.")
    main_metric_chosen = models.BooleanField(default=False)
    main_goal = models.CharField(max_length=3, choices=Goal.choices, default=Goal.HIGHEST)
    best_value = models.FloatField(null=True)
    recent_values = models.JSONField(default=list, help_text="The main metric of up to 30 newest runs, oldest first.")

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        ordering = [F("last_run_at").desc(nulls_last=True), "-id"]
        indexes = [
            models.Index(F("last_run_at").desc(nulls_last=True), F("id").desc(), name="experiment_last_run"),
            models.Index(fields=["team", "archived"]),
            models.Index(fields=["name", "id"]),
        ]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """A training run. Its metrics, parameters and tags lie in tables of their own, which filters and orders go by."""

    class Status(models.TextChoices):
        RUNNING = "RUNNING", "Running"
        SCHEDULED = "SCHEDULED", "Scheduled"
        FINISHED = "FINISHED", "Finished"
        FAILED = "FAILED", "Failed"
        KILLED = "KILLED", "Ended early"

    ACTIVE = (Status.RUNNING, Status.SCHEDULED)

    id = models.BigAutoField(primary_key=True)
    run_id = models.CharField(max_length=ID_LENGTH, unique=True, help_text="MLflow's run id.")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="runs", db_index=False)
    name = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices)
    archived = models.BooleanField(default=False, help_text='In MLflow: lifecycle stage "deleted".')
    user_name = models.CharField(max_length=250, blank=True, help_text="Who MLflow says; slipway.user where stamped.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.BigIntegerField(null=True, help_text="NULL while it runs.")
    note = models.TextField(blank=True)
    parent_run_id = models.CharField(max_length=ID_LENGTH, blank=True)
    family = models.CharField(max_length=ID_LENGTH, help_text="Run id of its topmost ancestor; its own without one.")
    commit = models.CharField(max_length=64, blank=True, help_text="mlflow.source.git.commit")
    source_name = models.CharField(max_length=500, blank=True)
    datasets = models.JSONField(default=list, help_text="[{name, digest, source_type, context}]")
    model_ids = models.JSONField(default=list, help_text="Logged models that came out of it.")
    environment_id = models.UUIDField(null=True, help_text="Stamped by the /mlflow/ route, so not a claim.")
    haystack = models.TextField(help_text="What full text looks in: lower case name, note, params, tags, datasets.")
    fingerprint = models.CharField(max_length=32, help_text="Of what MLflow said; an unchanged run is not written.")

    # What it used of its environment, shared with runs that overlapped (`apps.experiments.usage`); NULL: not known.
    core_seconds = models.FloatField(null=True)
    memory_byte_seconds = models.FloatField(null=True)
    gpu_seconds = models.FloatField(null=True)
    used_until = models.DateTimeField(null=True, help_text="Up to when the use was counted.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = [F("started_at").desc(nulls_last=True), "-id"]
        indexes = [
            models.Index(F("started_at").desc(nulls_last=True), F("id").desc(), name="run_started"),
            models.Index(
                F("experiment"), F("started_at").desc(nulls_last=True), F("id").desc(), name="run_of_experiment"
            ),
            models.Index(fields=["status"], condition=Q(status__in=("RUNNING", "SCHEDULED")), name="run_active"),
            models.Index(fields=["family"], name="run_family"),
            models.Index(fields=["family"], condition=~Q(parent_run_id=""), name="run_nested"),
            models.Index(fields=["parent_run_id"], condition=~Q(parent_run_id=""), name="run_parent"),
            models.Index(fields=["environment_id", "started_at"], condition=~Q(environment_id=None), name="run_env"),
            models.Index(fields=["user", "-started_at"], name="run_user"),
            # What is counted and filtered by ids alone is read from this and not from the table, whose rows are wide.
            models.Index(fields=["experiment", "id"], condition=Q(archived=False), name="run_kept"),
            models.Index(F("duration_ms").desc(nulls_last=True), F("id").desc(), name="run_longest"),
        ]

    def __str__(self) -> str:
        return self.name or self.run_id


class RunMetric(models.Model):
    """The newest value of one metric of one run. `value` is NULL for NaN; infinities are infinities.

    `experiment` is the run's, repeated for the indexes; the database need not check it a million times in an import.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics", db_index=False)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    key = models.CharField(max_length=250)
    value = models.FloatField(null=True)
    step = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="run_metric_once")]
        indexes = [
            models.Index(F("key"), F("value").desc(nulls_last=True), F("run").desc(), name="metric_highest"),
            models.Index(F("key"), F("value").asc(nulls_last=True), F("run").desc(), name="metric_lowest"),
            models.Index(fields=["experiment", "key", "value", "run"], name="metric_of_experiment"),
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"


class RunParam(models.Model):
    """One parameter of one run; `number` is its value where it reads as one."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="params", db_index=False)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    key = models.CharField(max_length=250)
    value = models.TextField()
    short = models.CharField(max_length=VALUE_LENGTH, help_text="The beginning of the value, for the index.")
    number = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="run_param_once")]
        indexes = [
            models.Index(fields=["key", "short", "run"], name="param_text"),
            models.Index(fields=["key", "number", "run"], name="param_number"),
            models.Index(fields=["experiment", "key"], name="param_of_experiment"),
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.short}"


class RunTag(models.Model):
    """One tag of one run, MLflow's own (`mlflow.*`) left out but for those that people filter by."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tags", db_index=False)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    key = models.CharField(max_length=250)
    value = models.TextField()
    short = models.CharField(max_length=VALUE_LENGTH)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="run_tag_once")]
        indexes = [
            models.Index(fields=["key", "short", "run"], name="tag_text"),
            models.Index(fields=["experiment", "key"], name="tag_of_experiment"),
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.short}"


class SavedView(RecordModel):
    """A filter, order and choice of columns of the runs table, kept under a name, as the query of its address."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.CASCADE, related_name="+")
    experiment_id = models.CharField(max_length=ID_LENGTH, blank=True, help_text="Empty: over all experiments.")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=4000)
    shared = models.BooleanField(default=False, help_text="With everybody of its team.")

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "experiment_id", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


class TablePreference(models.Model):
    """How one person has laid out the runs table of one experiment ("" for all of them)."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    experiment_id = models.CharField(max_length=ID_LENGTH, blank=True)
    columns = models.JSONField(default=list, help_text='[{"key": "metrics.auc", "width": 120, "pinned": false}]')
    baseline = models.CharField(max_length=ID_LENGTH, blank=True, help_text="Run id that others are compared with.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "experiment_id"], name="table_preference_once")]

    def __str__(self) -> str:
        return f"{self.user} {self.experiment_id or 'all'}"
