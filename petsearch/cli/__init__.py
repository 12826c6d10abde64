"""The command `petsearch`: `main` lists the commands, `output` prints, every other module defines
commands. A module is imported when its command runs, so nothing is exported here.
"""
