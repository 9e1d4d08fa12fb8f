"""What bots say to newcomers, in a longer conversation, and to people who are not nice."""
