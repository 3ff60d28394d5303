"""Folders of models: layout, manifests, who holds them open, what a medium keeps."""
