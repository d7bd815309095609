"""Event -> FHIR resources: loads mappings/, walks them, builds bundles, validates.

Pure after load. May import domain and observe; the only package that imports fhir.resources (R4B only).

Entry points: `load.load`, `content.prepare_event`, `content.build_content`,
`identity.document_identifier`, `identity.message_identifier`, `planner.choose_level`,
`check.check_mappings`; what they raise is in `problems`.
"""
