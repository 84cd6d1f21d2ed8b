"""What the monitor should find in generated commands, in plain Python, from the same facts and without its SQL.

Each function is about one mart, which it names. Keys are the ids that the generator gave.
"""
