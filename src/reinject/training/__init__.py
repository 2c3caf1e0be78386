"""Train networks: losses, fitting, and the students that judge samples."""
