"""The role `correlate`: joins waits and outcomes by subject and gives scores."""
