"""event -> letter: views, environment, render, pdf. Pure but for the PDF engine. May import domain and observe."""
