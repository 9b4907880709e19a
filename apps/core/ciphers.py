"""Every encrypted column of the portal: which keys they need, and putting them all under the newest key.

An app registers its columns in `ready()`. A test walks all models, so that a new binary column is either registered
here or declared plain, with the reason.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import connection
from django.db.models import F, Model
from django.db.models.functions import Length

from apps.core.crypto import KEY_ID_LENGTH, UNNAMED, KeyLost, decrypt, encrypt, keys_known

BATCH = 200


@dataclass(frozen=True)
class CipherColumn:
    """One encrypted column; `words` is what its values are called in front of people."""

    model: str
    field: str
    words: str

    @property
    def model_class(self) -> type[Model]:
        return apps.get_model(self.model)


_columns: dict[tuple[str, str], CipherColumn] = {}
_plain: dict[tuple[str, str], str] = {}


def register_cipher(model: str, field: str, words: str) -> None:
    """`model` is `app_label.Model`; its `field` holds what `crypto.encrypt` gave, or nothing."""
    _columns[model, field] = CipherColumn(model, field, words)


def register_plain(model: str, field: str, reason: str) -> None:
    """A binary column that holds no secret."""
    _plain[model, field] = reason


def cipher_columns() -> list[CipherColumn]:
    return list(_columns.values())


def binary_declared(model: str, field: str) -> bool:
    return (model, field) in _columns or (model, field) in _plain


def keys_in_use() -> dict[str, Counter[str]]:
    """How many values of which kind were written with each key, by its id; "" for values of before keys had ids."""
    found: dict[str, Counter[str]] = {}
    with connection.cursor() as cursor:
        for column in cipher_columns():
            options = column.model_class._meta
            table, name = (connection.ops.quote_name(word) for word in (options.db_table, column.field))
            cursor.execute(
                f"SELECT substr({name}, 1, %s), count(*) FROM {table} WHERE length({name}) > 0 GROUP BY 1",  # noqa: S608
                [KEY_ID_LENGTH],
            )
            for beginning, count in cursor.fetchall():
                raw = bytes(beginning)
                written_with = "" if raw.startswith(UNNAMED) else raw.decode("ascii", "replace")
                found.setdefault(written_with, Counter())[column.words] += count
    return found


def keys_lost() -> dict[str, Counter[str]]:
    """The keys that stored values need and that are not known any more."""
    known = keys_known().by_id
    return {name: kinds for name, kinds in keys_in_use().items() if name and name not in known}


def lost_words(lost: dict[str, Counter[str]]) -> str:
    """ "key 1f0c22aa is missing, which 14 values need (9 states, 5 inputs)"."""
    return "; ".join(
        f"key {name} is missing, which {kinds.total()} value{'s' if kinds.total() > 1 else ''} need"
        f"{'' if kinds.total() > 1 else 's'} ({', '.join(f'{count} {words}' for words, count in kinds.most_common())})"
        for name, kinds in sorted(lost.items())
    )


def values_unreadable(limit: int = 20) -> list[tuple[CipherColumn, str, KeyLost]]:
    """Really opens every value; the first `limit` of those that cannot be. Slow, for the doctor."""
    found = []
    for column in cipher_columns():
        for pk, cipher in _values(column, under=None):
            try:
                decrypt(cipher)
            except KeyLost as error:
                found.append((column, str(pk), error))
                if len(found) >= limit:
                    return found
    return found


def ciphers_rotate(progress: Callable[[CipherColumn, int], None] = lambda column, count: None) -> int:
    """Write every value that is not under the first key anew under it; returns how many.

    Each value is replaced only where it is still the one that was read, by an update of its own: it can be ended
    anywhere and run again, and it never takes back what a running process writes meanwhile. Values whose key is lost
    stay as they are.
    """
    total = 0
    for column in cipher_columns():
        count = 0
        for pk, cipher in _values(column, under=keys_known().first):
            try:
                fresh = encrypt(decrypt(cipher))
            except KeyLost:
                continue
            rows = column.model_class._default_manager.filter(pk=pk, **{column.field: cipher})
            count += rows.update(**{column.field: fresh})
        if count:
            progress(column, count)
        total += count
    return total


def _values(column: CipherColumn, *, under: str | None) -> Iterator[tuple[object, bytes]]:
    """Primary keys and ciphers in batches; `under` leaves out those of that key."""
    manager = column.model_class._default_manager
    rows = manager.annotate(cipher_length=Length(F(column.field))).filter(cipher_length__gt=0).order_by("pk")
    last: object | None = None
    while True:
        page = rows if last is None else rows.filter(pk__gt=last)
        batch = list(page.values_list("pk", column.field)[:BATCH])
        if not batch:
            return
        for pk, cipher in batch:
            if under is None or not bytes(cipher).startswith(f"{under}:".encode()):
                yield pk, bytes(cipher)
        last = batch[-1][0]
