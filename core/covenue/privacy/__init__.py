"""The accountant, the guards, and the composition of noise and stage."""
