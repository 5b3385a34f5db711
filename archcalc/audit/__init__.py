"""The audit: published figures as claims, evaluated, each with a verdict that is computed."""
