"""Event -> FHIR resources: loads mappings/, walks them, builds bundles, validates.

Pure after load. May import domain and observe; the only package that imports fhir.resources (R4B only).
"""
