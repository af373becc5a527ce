"""Faults in a stack under load, and whether anything is lost, wrong or done twice."""
