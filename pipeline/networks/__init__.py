"""The networks that look at images: scorers, recognizers, the perception net, the detector."""
