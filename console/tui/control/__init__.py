"""What a person does: the registry of actions, keys, commands, palette, help, and ways back."""
