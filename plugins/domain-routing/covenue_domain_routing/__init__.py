"""ExoRoute: parent orders across books at least all-in cost."""
