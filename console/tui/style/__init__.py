"""How everything looks: themes, and styles by name."""
