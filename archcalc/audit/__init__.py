"""The audit: published figures as claims. Each is evaluated and gets a computed verdict."""
