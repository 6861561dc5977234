"""What is looked at and listened to while a model learns."""
