"""Celery app and tasks: three-line bodies that call flow."""
