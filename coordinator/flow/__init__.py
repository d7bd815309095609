"""The use cases, one file a step: record, prepare, deliver, track, resend, sweep.

May import mapping, letters, planning, domain and observe. Knows no framework: the
database, the channels, the clock and the dice come in through `ports`.
"""
