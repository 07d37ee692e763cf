"""`make gpu`: all that wants a GPU. Nothing is imported before it is asked for."""
