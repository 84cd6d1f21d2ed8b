"""Due notifications to messages, formats, and their delivery: each is sent once and recorded."""
