"""What a shared link opens: pages and images for people without an account."""
