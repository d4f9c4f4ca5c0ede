"""Reports: one HTML page that says what was found, with pictures, tables and how to repeat it."""
