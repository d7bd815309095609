"""The words of the service: events, people, quantities, consent, delivery states, errors.

Imports the standard library and pydantic, nothing else. Nothing here does I/O,
reads a clock or draws a random number.
"""
