"""Ways to obtain processes; each gives every process a Runtime and lets ``training.run`` do the rest.

``experiment`` trains one, ``shards`` prepares data, and loads no torch for it.
"""
