"""The pictures of the screen, and the program that draws them."""
