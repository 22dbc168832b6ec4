"""What whoever runs the installation may ask and do: dead letters, stages, workers. For superusers alone."""
