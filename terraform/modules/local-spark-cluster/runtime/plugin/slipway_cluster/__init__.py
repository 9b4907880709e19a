"""What runs a cluster as one supervised service: its parts, and the one door through which it is looked at."""
