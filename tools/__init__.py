"""What developers need beside the libraries: each module is one command, called by the Makefile."""
