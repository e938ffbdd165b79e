"""Times of turns against speech whose words have known times."""
