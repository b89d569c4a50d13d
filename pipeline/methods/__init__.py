"""Methods of semantic editing: a file each, or a folder where one file is not enough."""
