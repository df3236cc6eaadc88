"""What differs between systems, one module a concern, each with a portable path beside the good one.

A module's `AVAILABLE` tells whether the good path is there; tests switch it off and run again.
"""
