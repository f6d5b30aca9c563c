"""The database, and every number computed from it. Import the module that does what you need; this package imports nothing by itself."""
