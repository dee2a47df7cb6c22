"""What a model needs of this machine, what the machine has, and how fast the model would be."""
