"""Reports: views of a profile for people and programs. They compute no quantities."""
