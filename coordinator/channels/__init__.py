"""One module a channel, each making one try; they do not know each other.

May import flow (its ports), domain and observe.
"""
