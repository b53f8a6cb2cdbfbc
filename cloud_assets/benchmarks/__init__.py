"""Quality and load: what is measured of a served checkpoint, and the pages that show it."""
