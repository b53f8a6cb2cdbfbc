"""The embedded serving backend: model servers as processes under the platform's supervisord."""

from resources.process_serving.backend import ProcessServing

__all__ = ["ProcessServing"]
