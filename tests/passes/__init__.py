"""Each pass: text in, text out, and the same numbers before and after."""
