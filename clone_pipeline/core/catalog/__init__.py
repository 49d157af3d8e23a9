"""The SQL catalog: schema, migrations, queries. Only this package talks SQL."""
