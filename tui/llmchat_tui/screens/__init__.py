"""The screens beside and around the chat; each is imported where it is opened."""
