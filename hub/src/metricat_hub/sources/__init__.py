"""Sources of samples: the scraper, the decoders of pushed samples, and the local agent."""
