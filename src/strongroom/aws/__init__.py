"""What AWS alone has: accounts, clients of its services, and what their errors mean."""
