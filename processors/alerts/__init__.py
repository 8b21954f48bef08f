"""The role `alerts`: rules judge every score as it comes, and windows of scores as of an instant."""
