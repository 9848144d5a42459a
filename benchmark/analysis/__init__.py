"""What the records allow one to say."""
