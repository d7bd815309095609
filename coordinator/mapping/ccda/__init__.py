"""The letter as a structured C-CDA document: narrative from the letter, entries from the gated resources."""
