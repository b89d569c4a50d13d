"""Settings: luigi.cfg as a file, and the frozen dataclasses that it becomes."""
