"""These files are wrong on purpose: `test_errors.py` reads them, and pytest does not collect them."""

collect_ignore_glob = ["*.arch"]
