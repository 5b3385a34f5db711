"""What every view is written with: numbers, tables, documents, charts, and where a text goes."""
