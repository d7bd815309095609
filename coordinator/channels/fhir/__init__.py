"""What the two FHIR channels share: capability, patient matching, judging answers."""
