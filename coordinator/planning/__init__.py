"""Who.

Whether, why: reading and checking events, recipients, consent, coordination rules, channel order, release.
Pure. May import domain and observe.
"""
