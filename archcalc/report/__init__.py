"""Reports: views of a profile for people and programs. They decide nothing and compute no quantity."""
