"""The names of the two reads: the job marks them, the report asks the event log for them."""

FIRST, SECOND = "first read", "second read"
