"""Pictures of the screen, made by the program that makes them."""
