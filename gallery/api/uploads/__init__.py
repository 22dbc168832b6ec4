"""Uploads by more than one request: the tus protocol 1.0 (https://tus.io/protocols/resumable-upload), and buckets."""
