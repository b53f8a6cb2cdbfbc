"""One OpenAI-compatible address in front of all model servers; run as `resources.gateway.app`."""
