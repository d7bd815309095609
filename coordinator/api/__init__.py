"""FastAPI: intake, registry, receipts, public letter pages, health. Thin: parse, call flow, answer."""
