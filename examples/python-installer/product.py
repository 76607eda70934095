"""The example product: a program that needs a DLL, that of SQLite."""

import startup

with startup.explained():
    import sqlite3

print(sqlite3.sqlite_version)
