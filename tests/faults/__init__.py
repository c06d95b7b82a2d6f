"""What is done to the program to make it lose data, and what must hold afterwards."""
