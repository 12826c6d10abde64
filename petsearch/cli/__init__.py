"""The command line: `main` holds the Typer application, every other module one group of commands.
Modules are imported when their command runs, so nothing is exported here.
"""
