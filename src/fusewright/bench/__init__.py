"""How fast is a compiled model, against other engines and against the machine?."""
