"""Which models is Fusewright checked with, and where does each come from?"""
