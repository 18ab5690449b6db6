"""How the pages are made: generated regions, images, and the site's API reference."""
