"""The embedded serving backend: model servers as processes under the platform's supervisord."""

from resources.process_serving.backend import ProcessServing
from resources.process_serving.model_cache import Fetch
from resources.process_serving.runtimes import tuned

__all__ = ["Fetch", "ProcessServing", "tuned"]
