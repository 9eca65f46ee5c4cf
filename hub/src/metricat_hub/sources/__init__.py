"""How samples arrive: scraped from targets, or pushed."""
