"""Searching 100,000 events by a part of a name: indexes of trigrams, where the database has them."""

from django.db import migrations, models

# pg_trgm comes with PostgreSQL and any owner of a database may add it; some packages leave it out. Search then reads
# every row, as before. The expressions are those of Django's `icontains`.
FORWARD = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX IF NOT EXISTS audit_target_trigrams ON audit_auditevent
        USING gin (upper(target_name::text) gin_trgm_ops);
    CREATE INDEX IF NOT EXISTS audit_actor_trigrams ON audit_auditevent
        USING gin (upper(actor_name::text) gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm is not available: searching the audit log reads every row';
END $$
"""
BACKWARD = "DROP INDEX IF EXISTS audit_target_trigrams; DROP INDEX IF EXISTS audit_actor_trigrams"


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [
        migrations.AddIndex("auditevent", models.Index(fields=["correlation_id"], name="audit_correlation")),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
