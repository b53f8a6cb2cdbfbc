"""This machine as Linux tells it, a module a subject: PCI devices, kernel, memory, networks, files.

Everything below /sys, /proc and /run is read below a root that tests make up. Nothing is changed,
and what cannot be read counts as not there. What of it is good enough is not known here.
"""
