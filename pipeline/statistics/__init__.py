"""Bootstrap intervals, differences, ranks, and the unit of a change."""
