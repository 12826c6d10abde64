"""The page: its files, and what previews of its links show."""

from services.api.page.files import WebClient, web_dir
from services.api.page.previews import Previews

__all__ = ["Previews", "WebClient", "web_dir"]
