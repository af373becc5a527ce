"""The models: what training and serving share, and the stages of the pipeline."""
