"""Speed, accuracy and training runs; every published figure comes from here."""
