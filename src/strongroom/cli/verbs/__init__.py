"""What each verb is told: options and help, without what does the work, so that help is fast."""
