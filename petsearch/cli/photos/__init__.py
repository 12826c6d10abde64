"""The commands that find, list, show, change and delete photos."""
