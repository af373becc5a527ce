"""Programs of the containers, besides the services: each writes configuration or creates what others need before they start."""
