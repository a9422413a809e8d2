"""The run: what outlives every process. Each object's name and format, and the one hand on them."""
