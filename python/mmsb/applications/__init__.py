"""Applications: whole programs that use the bus as anybody would, through its public face."""
