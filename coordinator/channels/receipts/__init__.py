"""Receipts: word from the far side, one module a channel."""
