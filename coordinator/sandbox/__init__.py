"""pretend recipients for trials and the demo: an EHR, a HISP, a fax gateway. Never imported by the rest."""
