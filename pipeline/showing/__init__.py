"""What a published run looks like: pictures of its edits, stored or generated again from its trained methods."""
