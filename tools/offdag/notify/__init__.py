"""Due notifications to messages, formats, and their delivery: said once, recorded each."""
