"""The role `materialize`: complete rows for reading, written anew for the runs that changed."""
