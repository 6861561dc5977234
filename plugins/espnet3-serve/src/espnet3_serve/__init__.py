"""An HTTP server for bundles: the OpenAI audio API over models that were packed."""
