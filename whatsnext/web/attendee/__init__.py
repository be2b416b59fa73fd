"""attendee."""
