"""The round machine: pure coordinator and participant, one module of I/O."""
