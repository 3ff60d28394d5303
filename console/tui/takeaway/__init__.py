"""What leaves the screens: the clipboard, files and pictures."""
