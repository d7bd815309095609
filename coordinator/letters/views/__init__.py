"""One frozen view a letter: what it prints, decided here; the templates only arrange it."""
