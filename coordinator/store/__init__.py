"""SQLAlchemy tables, repositories, claim, audit chain, encrypted blobs.

May import flow (its ports), domain and observe.
"""
