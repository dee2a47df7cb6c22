"""The parts of the screens: each shows what it is told and posts what the user does.

They know no engine and no database.
"""
