"""Fetches photos from addresses on the web, and keeps such fetches out of private networks."""

from petsearch.adapters.web.url_fetcher import UrlFetcher

__all__ = ["UrlFetcher"]
