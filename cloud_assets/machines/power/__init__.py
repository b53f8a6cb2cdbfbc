"""Machines on and off: what is asked, in which order, with their nodes emptied before."""
