"""Many movies: finding, isolation of failures, resume, shards, workers."""
