"""Tools for all views: numbers, tables, documents, charts, and output."""
