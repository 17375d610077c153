"""The functions that seal, what keeps the chain as it is, and its first block."""

from pathlib import Path

from django.db import migrations

from wallet_project.utils.sql_files import install

APP = Path(__file__).resolve().parent.parent


class Migration(migrations.Migration):
    dependencies = [("chain", "0001_initial")]
    operations = [
        install(
            APP,
            "seal.sql",
            undo="""
                DROP FUNCTION chain_forget; DROP FUNCTION chain_resume; DROP FUNCTION chain_seal;
                DROP FUNCTION chain_seal_source; DROP FUNCTION chain_hash; DROP FUNCTION chain_definition;
                DROP FUNCTION chain_line; DROP FUNCTION chain_text;
            """,
        ),
        install(
            APP,
            "guards.sql",
            undo="""
                DROP FUNCTION chain_block_follows CASCADE; DROP FUNCTION chain_salt_is_only_forgotten CASCADE;
                DROP FUNCTION chain_refuses CASCADE;
                DELETE FROM chain_block; DELETE FROM chain_epoch;
            """,
        ),
    ]
