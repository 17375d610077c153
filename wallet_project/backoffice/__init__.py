"""The staff's admin: its site, how it logs people in, how it looks."""
