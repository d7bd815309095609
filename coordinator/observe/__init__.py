"""The log catalogue and the counters. Lowest layer, beside the domain; knows nothing of either side."""
