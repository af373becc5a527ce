"""The lake: columns, schemas, the manifest and the bucket of clean data."""
