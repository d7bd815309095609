"""sign-in, roles, field encryption, SMART client, outbound guard. May import flow (its ports), domain and observe."""
