"""The role `experiments`: sets the weights of adaptive experiments by the outcomes of their mature units."""
