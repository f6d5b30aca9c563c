"""What every room shares: the version, the errors, the registry and content hashes. Nothing else belongs here."""

__version__ = "0.1.0"
