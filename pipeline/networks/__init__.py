"""Networks that read images: scorers, recognizers, the perception net, the truth reader and the face detector."""
