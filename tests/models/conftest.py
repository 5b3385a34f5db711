"""The scripts that make the models are not collected as tests."""

collect_ignore_glob = ["make_*.py"]
