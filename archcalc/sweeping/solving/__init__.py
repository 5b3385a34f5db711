"""Answers inverse questions: largest values, and fronts."""
