"""What training needs around it: setting up, services, clusters."""
