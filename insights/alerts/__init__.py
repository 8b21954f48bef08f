"""What rules of alerts judge: windows, silences and open waits, as of instants."""
