"""The scripts that make the models are no tests."""

collect_ignore_glob = ["make_*.py"]
