"""`python -m bench peers`: engines that pip can install beside ours, one flow through the Python calls of each. Imports nothing: peers run us too."""
