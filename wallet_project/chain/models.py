"""The chain: what is hashed and how (Source), the blocks, what each holds of each table, and the salts of free text.

The application's role can only read them; `chain_seal` writes them.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Source(models.Model):
    """How the rows of a table are hashed. Never changed, only followed by the next version."""

    id = models.SmallIntegerField(primary_key=True)
    table_name = models.CharField(max_length=63)
    version = models.SmallIntegerField()
    key_column = models.CharField(max_length=63)
    moment_column = models.CharField(max_length=63, help_text="when a row was written")
    columns = ArrayField(models.CharField(max_length=63), help_text="in the order in which they are hashed")
    kinds = ArrayField(models.CharField(max_length=20), help_text="how each column's value is written")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table_name", "version"], name="source_version_unique")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.table_name} (version {self.version})"


class Epoch(models.Model):
    """From when on rows are numbered by which clock: a restored database is on a server that counts anew."""

    number = models.IntegerField(primary_key=True)
    system_identifier = models.BigIntegerField(help_text="of the PostgreSQL cluster")
    xact_offset = models.BigIntegerField(help_text="xact = pg_current_xact_id() + this")
    after_block = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    began_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"epoch {self.number}: {self.reason}"


class Block(models.Model):
    """All rows whose transaction number is in [from_xact, to_xact), and the hash of the block before."""

    number = models.BigIntegerField(primary_key=True)
    epoch = models.ForeignKey(Epoch, on_delete=models.PROTECT, related_name="+", db_index=False)
    from_xact = models.BigIntegerField()
    to_xact = models.BigIntegerField()
    row_count = models.BigIntegerField()
    sealed_at = models.DateTimeField()
    previous = models.BinaryField(max_length=32)
    content = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            # No two blocks follow the same one.
            models.UniqueConstraint(fields=["previous"], name="block_follows_one_alone"),
            models.CheckConstraint(
                name="block_range_goes_on", condition=models.Q(from_xact__lt=models.F("to_xact")) | models.Q(number=0)
            ),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"block {self.number}"


class Section(models.Model):
    """What a block holds of one table: which rows, and the hash of each."""

    id = models.BigAutoField(primary_key=True)
    block = models.ForeignKey(Block, on_delete=models.PROTECT, related_name="sections", db_index=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_index=False)
    row_count = models.BigIntegerField()
    row_ids = ArrayField(models.TextField())
    leaves = models.BinaryField(help_text="32 bytes for each row")
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["block", "source"], name="section_one_of_a_source_in_a_block")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.row_count} rows in block {self.block_id}"


class Salt(models.Model):
    """The salt and the digest of one text. Without its salt a digest tells nobody what the text was."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_index=False)
    row_id = models.TextField()
    column_name = models.CharField(max_length=63)
    salt = models.BinaryField(max_length=32, null=True, help_text="null once the text was erased")
    digest = models.BinaryField(max_length=32)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "row_id", "column_name"], name="salt_one_of_a_text"),
            models.CheckConstraint(
                name="salt_erased_has_a_time",
                condition=models.Q(salt__isnull=False, erased_at__isnull=True)
                | models.Q(salt__isnull=True, erased_at__isnull=False),
            ),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.column_name} of {self.row_id}"
