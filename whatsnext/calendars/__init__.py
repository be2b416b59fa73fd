"""iCalendar: dataclasses in, bytes out. No database, no Flask; time comes in as an argument."""
