"""staff pages: routes, presenters, templates, static. A button calls flow, never a channel."""
