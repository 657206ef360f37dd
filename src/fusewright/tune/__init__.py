"""Which way of making a kernel is the fastest on this machine? Found by measuring; remembered in a database."""
