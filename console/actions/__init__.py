"""What operators ask hosts to do: requests built, shown, signed and sent. Nothing here decides."""
